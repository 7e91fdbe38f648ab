"""The smallest workflow: one activity.

    assay serve                             # or: make serve
    assay worker examples.hello:app
    python -m examples.hello World

The first two go on: give each a terminal of its own.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context

app = Assay()


@dataclass
class Who:
    who: str


@dataclass
class Greeting:
    greeting: str


@app.activity
def greet(who: str) -> str:
    """Do the work: anything may happen in an activity."""
    return f"hello, {who}"


@app.workflow
def GreetWorkflow(ctx: Context, input: Who) -> Greeting:
    """Decide what is done, in which order: this code is replayed, so it only asks for steps."""
    return Greeting(ctx.execute_activity(greet, input.who))


if __name__ == "__main__":
    handle = app.client.start(GreetWorkflow, Who(sys.argv[1] if len(sys.argv) > 1 else "world"))
    print(handle.result(timeout=30).greeting)
