"""A history told as steps: what each is called, and how it ended."""

from __future__ import annotations

import json
from itertools import count

import pytest

from assay_wsgi.cli.workflow.story import Story

BEGUN = {
    "ActivityScheduled": {"activity_seq": 1, "activity_id": 6, "name": "charge"},
    "TimerScheduled": {"timer_seq": 2, "duration_secs": 60.0, "fire_at": 160.0},
    "ChildWorkflowStarted": {"child_workflow_id": "ship-1", "workflow_type": "Ship"},
    "WorkflowAwaitingSignal": {"signal": "approve"},
}


def story(*happened):
    """Tell (event type, payload), a second after the other from 100 on."""
    moments = count(100)
    return Story(
        {"seq": moment - 99, "event_type": kind, "payload": json.dumps(told), "timestamp": float(moment)}
        for moment, (kind, told) in zip(moments, happened, strict=False)
    )


def outcomes(told):
    return {f"{step.kind} {step.name}": step.outcome for step in told.steps}


def test_while_a_run_is_open_its_steps_are():
    assert set(outcomes(story(*BEGUN.items())).values()) == {None}


@pytest.mark.parametrize(
    "end", ["WorkflowCompleted", "WorkflowFailed", "WorkflowCancelled", "WorkflowTerminated", "WorkflowTimedOut"]
)
def test_what_is_open_ends_with_the_run_but_for_children(end):
    told = story(*BEGUN.items(), (end, None))

    assert outcomes(told) == {
        "activity charge": "ended with the run",
        "timer 1m": "ended with the run",
        "child ship-1 (Ship)": "not waited for",
        "signal approve": "ended with the run",
    }
    assert {step.ended_at for step in told.steps} == {104.0}


def test_a_run_that_continues_leaves_its_children_to_the_next():
    told = story(*BEGUN.items(), ("WorkflowContinuedAsNew", {"new_run_id": "run-2"}))

    assert outcomes(told)["child ship-1 (Ship)"] == "left to the next run"


def test_what_ended_before_keeps_its_outcome():
    told = story(*BEGUN.items(), ("TimerFired", {"timer_seq": 2}), ("WorkflowCompleted", None))

    assert outcomes(told)["timer 1m"] == "fired"


def test_a_timer_is_called_by_its_length_and_by_the_wait_that_it_bounds():
    wait = {"signal": "approve", "timer_seq": 2}

    told = story(("TimerScheduled", BEGUN["TimerScheduled"]), ("WorkflowAwaitingSignal", wait))

    assert (told.timers[2].name, told.timers[2].due_at) == ("1m for signal approve", 160.0)


def test_a_wait_whose_timer_fires_has_timed_out_once():
    wait = {"signal": "approve", "timer_seq": 2}
    fired = {"timer_seq": 2}

    told = story(
        ("TimerScheduled", BEGUN["TimerScheduled"]), ("WorkflowAwaitingSignal", wait), ("TimerFired", fired),
        ("WorkflowCompleted", None),
    )  # fmt: skip

    assert outcomes(told) == {"timer 1m for signal approve": "fired", "signal approve": "timed out"}
