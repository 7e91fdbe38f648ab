"""The families of the storm: how a tree is made up, what each of its runs does, and how it must end.

All runs are of one type, and what one does depends on its history alone, so any worker can go on with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RequestCancelChild
from assay_wsgi.domain.commands import StartChildWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.jsontext import dumps
from tests.engine.stories import Wire

TYPE = "Member"
QUEUE = "family"
FINISH = "finish"  # the signal that ends a run in peace
PARENT_CLOSE = ("request_cancel", "terminate", "abandon")
AT_CANCEL = ("cancelled", "cancelled", "completed", "failed")  # how one ends that is asked to
END_AT_CANCEL: dict[str, Command] = {
    "cancelled": CancelWorkflow(),
    "completed": CompleteWorkflow(result='"in spite of it"'),
    "failed": FailWorkflow(error='"could not stop"'),
}
Member = dict[str, Any]  # id, parent_close, at_cancel, patient, below


def tree(root: str, width: int, *, patient: bool) -> Member:
    """Make up a tree of depth 3: every third child has three children. `patient`: the root waits for all of them.

    Every sixth child is a patient parent.
    """
    children = [
        _member(
            f"{root}.{n}", n, patient=n % 6 == 0,
            below=[_member(f"{root}.{n}.{m}", n // 3 + m) for m in range(3)] if n % 3 == 0 else (),
        )
        for n in range(width)
    ]  # fmt: skip
    return _member(root, 0, patient=patient, below=children)


def _member(name: str, number: int, *, patient: bool = False, below: Any = ()) -> Member:
    return {
        "id": name,
        "parent_close": PARENT_CLOSE[number // 3 % 3 if below else number % 3],
        "at_cancel": AT_CANCEL[number % 4],
        "patient": patient,
        "below": list(below),
    }


def everybody(member: Member) -> Iterator[Member]:
    """Walk a tree, parents first."""
    yield member
    for child in member["below"]:
        yield from everybody(child)


# --------------------------------------------------------------------------------------------- what one does


def turn(task: Wire) -> tuple[Command, ...]:
    """Decide what a run does next, from its task."""
    me: Member = task["input"]
    wait = WaitForSignal(name=FINISH)
    started = _children_in(task, "ChildWorkflowStarted")
    ended = _children_in(task, "ChildWorkflowCompleted", "ChildWorkflowFailed")
    if task["cancel_requested"]:
        if not me["patient"] or started == ended:
            return (END_AT_CANCEL[me["at_cancel"]],)
        asked = _children_in(task, "ChildWorkflowCancelRequested")
        return (*(RequestCancelChild(workflow_id=child) for child in sorted(started - ended - asked)), wait)
    if _was_told_to_finish(task) or (started and started == ended):
        return (CompleteWorkflow(result='"finished"'),)
    if not started:
        return (*(_start(seq, child) for seq, child in enumerate(me["below"], 1)), wait)
    return (wait,)


def _start(seq: int, child: Member) -> StartChildWorkflow:
    return StartChildWorkflow(
        workflow_type=TYPE, workflow_id=child["id"], seq=seq, parent_close=child["parent_close"], input=dumps(child)
    )


def _children_in(task: Wire, *event_types: str) -> set[str]:
    return {event["payload"]["child_workflow_id"] for event in task["history"] if event["event_type"] in event_types}


def _was_told_to_finish(task: Wire) -> bool:
    return any(
        event["event_type"] == "SignalReceived" and event["payload"]["signal"] == FINISH for event in task["history"]
    )


# -------------------------------------------------------------------------------------------- how it must end

OPEN = "open"


def ends(root: Member, reason: str) -> dict[str, str]:
    """Say how each run of a tree ends (its close_reason, or "open") when its root ends, or is asked to, like that.

    `reason`: cancelled (it is asked to), terminated or timed_out.
    """
    if reason == "cancelled":
        return _asked(root)
    return {root["id"]: reason, **_below_a_closed(root, terminated=reason == "terminated")}


def _asked(member: Member) -> dict[str, str]:
    found = {member["id"]: member["at_cancel"]}
    if not member["patient"]:
        return found | _below_a_closed(member, terminated=False)
    for child in member["below"]:
        found |= _asked(child)
    return found


def _below_a_closed(member: Member, *, terminated: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in member["below"]:
        how = child["parent_close"]
        if how == "abandon":
            found |= {one["id"]: OPEN for one in everybody(child)}
        elif terminated or how == "terminate":
            found |= ends(child, "terminated")
        else:
            found |= _asked(child)
    return found
