"""What the demo's workers run: the examples' workflows, and their activities, which keep a ledger here.

DEMO_LEDGER names a file. Each activity appends a line to it when its work is done and before it says so: what
really happened, to be laid beside what the history says.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from typing import Any

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import activity_info
from examples.checkout import workflow as checkout
from examples.documents import workflow as documents


def with_ledger(examples: tuple[Assay, ...], path: str) -> Assay:
    """Make an app of the workflows and activities of these, on one queue."""
    made = Assay()
    for example in examples:
        made.workflows.update(example.workflows)
        for activity in example.activities.values():
            made.activity(name=activity.name)(_entered(activity.fn, path))
    return made


def _entered(work: Callable[..., Any], path: str) -> Callable[..., Any]:
    @functools.wraps(work)
    def done(*args: Any, **kwargs: Any) -> Any:
        result = work(*args, **kwargs)
        enter(path)
        return result

    return done


def enter(path: str) -> None:
    """Append who did what: one write to a file opened for appending stays in one piece."""
    info = activity_info()
    entry = {
        "run_id": info.run_id,
        "seq": info.seq,
        "attempt": info.attempt,
        "name": info.name,
        "at": time.time(),
    }
    ledger = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(ledger, (json.dumps(entry) + "\n").encode())
    finally:
        os.close(ledger)


app = with_ledger((documents.app, checkout.app), os.environ.get("DEMO_LEDGER", os.devnull))
