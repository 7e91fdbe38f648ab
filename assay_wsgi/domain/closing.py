"""The end of a run, as its family sees it: the parent is told once, children are seen to afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Union

from ..jsontext import dumps
from ..jsontext import embed
from .change import RunPen
from .model import CloseReason
from .model import Followup
from .model import Run
from .model import Status
from .model import Task

CLOSE_CHILDREN = "close_children"  # followup: bring parent_close about for the children of a chain

Found = Union[tuple[Run, Union[Task, None]], None]
FindParent = Callable[[Run], Found]  # the newest run of the parent's chain, with its task


def nobody(_run: Run) -> Found:
    """Find no parent."""
    return None


def close(
    pen: RunPen, status: Status, reason: CloseReason, event_type: str, payload: str | None, find_parent: FindParent,
    *, result: str | None = None, error: str | None = None,
) -> None:  # fmt: skip
    """Close a run, tell the newest run of its parent's chain, and leave word for its children."""
    pen.close(status, reason, event_type, payload, result=result, error=error)
    run = pen.run
    if pen.get("has_children"):
        detail = dumps({"terminated": reason is CloseReason.TERMINATED})
        pen.change.followups.append(Followup(CLOSE_CHILDREN, run.first_run_key, detail, pen.clock))
    if run.parent_chain_key is None:
        return
    parent = find_parent(run)
    if parent is None or parent[0].closed:
        return
    told = RunPen(pen.change, *parent, pen.clock)
    tell(told, run, reason, result=result, error=error)
    told.done()


def tell(pen: RunPen, child: Run, reason: CloseReason, *, result: str | None = None, error: str | None = None) -> None:
    """Write a child's outcome into its parent's history. Assay's own workers know these two events only.

    The child has the id by which the parent started it, whatever id it has continued under.
    """
    started_as = child.first_run_id.removeprefix("run-").rpartition("-")[0]
    told: dict[str, Any] = {"child_workflow_id": started_as}
    if child.child_command is not None:
        told["child_seq"] = child.child_command
    if reason is CloseReason.COMPLETED:
        pen.waking_event("ChildWorkflowCompleted", dumps({**told, "result": embed(result)}))
    else:
        text = error or f"child workflow {started_as} {_SAID[reason]}"
        told |= {"error": text, "close_reason": reason.value}
        pen.waking_event("ChildWorkflowFailed", dumps(told))
    pen.set(waiting_for=None)


_SAID = {
    CloseReason.FAILED: "failed",
    CloseReason.CANCELLED: "was cancelled",
    CloseReason.TERMINATED: "was terminated",
    CloseReason.TIMED_OUT: "timed out",
}
