"""What the workers of the benchmark run: a workflow of one activity, like examples/hello."""

from __future__ import annotations

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context

app = Assay()


@app.activity
def greet(name: str) -> str:
    """Greet someone."""
    return f"hello {name}"


@app.workflow
def hello(ctx: Context, name: str) -> str:
    """Have someone greeted."""
    return ctx.execute_activity(greet, name)
