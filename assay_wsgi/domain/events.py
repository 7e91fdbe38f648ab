"""Every type of event that a history can hold: what it means, what causes it, and the members of its payload.

The writers stand all over `domain/`. Tests hold this table against them: whatever a test's engine has written must be
declared here, and each member must be shown by a story. `docs/reference/events.md` is rendered from it.
"""

from __future__ import annotations

from typing import NamedTuple

JSON = "any JSON"
TEXT = "string"
TEXT_OR_NULL = "string or null"
SEQ = "integer"
SECS = "number"


class Member(NamedTuple):
    """A member of an event's payload."""

    type: str
    says: str
    always: bool = True  # else only where there is something to tell


class EventType(NamedTuple):
    """A type of event. `members` = None where the payload is no object of ours but what `payload` says."""

    says: str
    cause: str
    members: dict[str, Member] | None
    payload: str = ""
    wakes: bool = False  # whether a worker must see it: the run gets a workflow task
    closes: bool = False  # whether it is the last of its history


def _sometimes(kind: str, says: str) -> Member:
    return Member(kind, says, always=False)


_ACTIVITY = {
    "activity_id": Member(SEQ, "The activity's id: `GET /activities/{id}`."),
    "activity_seq": Member(SEQ, "The `seq` of its command."),
    "name": Member(TEXT, "The activity's name."),
}
_CHILD = {
    "child_workflow_id": Member(TEXT, "The id under which the child was started."),
    "child_seq": _sometimes(SEQ, "The `seq` of its command, where one was sent."),
}
_CUT = _sometimes("boolean", "True where the text was cut.")
_TIMER_SEQ = Member(SEQ, "The `seq` of its command.")
_FIRE_AT = Member(SECS, "When it is due, in seconds since the epoch.")
_NO_PAYLOAD: dict[str, Member] = {}

THE_RUN = {
    "WorkflowStarted": EventType(
        "The run is there.", "A start, a StartChildWorkflow command, or the run before in its chain.", None,
        payload="The run's input, as it is; null without one.", wakes=True,
    ),
    "SignalReceived": EventType(
        "A signal is there.", "Somebody sent it, or it came unread from the run before in the chain.",
        {
            "signal": Member(TEXT, "Its name."),
            "payload": Member(JSON, "What came with it, or null."),
            "signal_id": _sometimes(TEXT, "The sender's id of it."),
        },
        wakes=True,
    ),
    "WorkflowAwaitingSignal": EventType(
        "The run is parked on a signal. Told once for each wait, not once for each replay.",
        "A WaitForSignal command.",
        {
            "signal": Member(TEXT, "The name that it waits for."),
            "timer_seq": _sometimes(SEQ, "The timer that bounds the wait."),
        },
    ),
    "WorkflowCancelRequested": EventType(
        "The run was asked to end. Told once, however often it is asked.",
        "A cancel by the API, the parent's RequestCancelChild command, or the parent's end.",
        {"reason": Member(TEXT_OR_NULL, "Why.")}, wakes=True,
    ),
    "SideEffectRecorded": EventType(
        "A value that the code found once is kept for every replay.", "A RecordSideEffect command.",
        {
            "side_effect_seq": Member(SEQ, "The `seq` of its command."),
            "name": Member(TEXT, "What it is."),
            "value": Member(JSON, "The value, or null."),
        },
    ),
    "SearchAttributesUpserted": EventType(
        "Search attributes were set.", "An UpsertSearchAttributes command.",
        {
            "patch": Member("object", "The attributes that were set."),
            "upsert_seq": _sometimes(SEQ, "The `seq` of its command, where one was sent."),
        },
    ),
}  # fmt: skip

ACTIVITIES = {
    "ActivityScheduled": EventType(
        "An activity waits for a worker.", "A ScheduleActivity command, or `POST /workflows/{id}/activities`.",
        {
            **_ACTIVITY,
            "task_queue": Member(TEXT, "The queue that it waits in."),
            "input": Member(JSON, "What it is given, or null."),
        },
    ),
    "ActivityCompleted": EventType(
        "An activity has a result.", "A worker's report.",
        {**_ACTIVITY, "result": Member(JSON, "The result, or null.")}, wakes=True,
    ),
    "ActivityFailed": EventType(
        "An activity failed for good. An attempt that will be tried again makes no event.",
        "The report of the last attempt, or a time-out.",
        {
            **_ACTIVITY,
            "error": Member(TEXT, "What went wrong."),
            "truncated": _CUT,
            "final_attempt": Member(SEQ, "The number of the last attempt."),
            "error_type": _sometimes(TEXT, "The error's type, as the worker named it; `timeout` for a time-out."),
            "timeout_type": _sometimes(
                TEXT, "`start_to_close`, `heartbeat`, `schedule_to_start` or `schedule_to_close`."
            ),
            "details": _sometimes(JSON, "What the failure or the last heartbeat said."),
        },
        wakes=True,
    ),
    "ActivityCancelled": EventType(
        "An activity was ended without an outcome.", "A CancelActivity command.", _ACTIVITY,
    ),
}  # fmt: skip

TIMERS = {
    "TimerScheduled": EventType(
        "A timer runs.", "A ScheduleTimer command.",
        {
            "timer_id": Member(SEQ, "The timer's own key."),
            "timer_seq": _TIMER_SEQ,
            "fire_at": _FIRE_AT,
            "duration_secs": Member(SECS, "How long it runs."),
        },
    ),
    "TimerFired": EventType(
        "A timer's time has come.", "The sidecar.", {"timer_seq": _TIMER_SEQ, "fire_at": _FIRE_AT}, wakes=True,
    ),
    "TimerCancelled": EventType(
        "A timer will not fire.", "A CancelTimer command, or the signal that ended the wait which it bounded.",
        {"timer_seq": _TIMER_SEQ},
    ),
}  # fmt: skip

CHILDREN = {
    "ChildWorkflowStarted": EventType(
        "A child is there. It wakes the parent only where the command says `tell_start`.",
        "A StartChildWorkflow command.",
        {
            **_CHILD,
            "workflow_type": Member(TEXT, "The child's type."),
            "child_run_id": Member(TEXT, "The child's first run."),
        },
    ),
    "ChildWorkflowCompleted": EventType(
        "A child has a result.", "The child's end; of a chain, the end of its last run.",
        {**_CHILD, "result": Member(JSON, "The result, or null.")}, wakes=True,
    ),
    "ChildWorkflowFailed": EventType(
        "A child ended without a result, or could not be started.",
        "The child's end, or a StartChildWorkflow command whose id another run has.",
        {
            **_CHILD,
            "error": Member(TEXT, "What went wrong."),
            "close_reason": Member(
                TEXT, "`failed`, `cancelled`, `terminated`, `timed_out`, or `already_started` for an id that is taken."
            ),
        },
        wakes=True,
    ),
    "ChildWorkflowCancelRequested": EventType(
        "A child was asked to end.", "A RequestCancelChild command.",
        {"child_workflow_id": Member(TEXT, "The id that the command named.")},
    ),
}  # fmt: skip

THE_END = {
    "SignalsUnhandled": EventType(
        "The run closes although signals are unread. It stands right before the closing event.",
        "A closing command that was refused three times in a row, or one of a worker of the old way.",
        {"signals": Member("array", "The seqs of the SignalReceived events that nobody has read.")},
    ),
    "WorkflowCompleted": EventType(
        "The run has a result.", "A CompleteWorkflow command.", None,
        payload="The result, as it is; null without one.", closes=True,
    ),
    "WorkflowFailed": EventType(
        "The run failed.", "A FailWorkflow command.",
        {"error": Member(TEXT, "What went wrong."), "truncated": _CUT}, closes=True,
    ),
    "WorkflowCancelled": EventType(
        "The run was cancelled.",
        "A CancelWorkflow command; or the engine, for a run that no worker had begun or none took up in time.",
        {"reason": _sometimes(TEXT, "What the worker said.")}, closes=True,
    ),
    "WorkflowTerminated": EventType(
        "The run was ended from outside. Its status is FAILED.",
        "A terminate by the API, a start with `id_conflict` `terminate_existing`, or the parent's end.",
        {"reason": Member(TEXT_OR_NULL, "Why."), "by": Member(TEXT_OR_NULL, "Who, where that is known.")},
        closes=True,
    ),
    "WorkflowTimedOut": EventType(
        "The run's time is over.", "The sidecar.",
        {"timeout_type": Member(TEXT, "`execution` (of the chain) or `run`.")}, closes=True,
    ),
    "WorkflowContinuedAsNew": EventType(
        "The next run of the chain has begun. The status is COMPLETED.",
        "A ContinueAsNew command, or `POST /workflows/{id}/continue-as-new`.",
        {
            "new_run_id": Member(TEXT, "The next run."),
            "workflow_id": Member(TEXT, "Its id."),
            "workflow_type": Member(TEXT, "Its type."),
            "input": Member(JSON, "Its input, or null."),
        },
        closes=True,
    ),
}  # fmt: skip

# Heading -> the types below it.
GROUPS = {
    "The run": THE_RUN,
    "Activities": ACTIVITIES,
    "Timers": TIMERS,
    "Children": CHILDREN,
    "The end": THE_END,
}
EVENTS: dict[str, EventType] = {name: event for group in GROUPS.values() for name, event in group.items()}
