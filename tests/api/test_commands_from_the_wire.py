"""A turn's commands, from the wire to the domain."""

from __future__ import annotations

from typing import Any
from typing import get_args

import pytest

from assay_wsgi.api import commands
from assay_wsgi.api.checks import MAX_PAYLOAD_BYTES
from assay_wsgi.api.commands import load_commands
from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RecordSideEffect
from assay_wsgi.domain.commands import RecordSnapshot
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import UpsertSearchAttributes
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import BadCommand

SCHEDULE = {"type": "ScheduleActivity", "seq": 1, "name": "add"}


def refused(*raw: Any) -> BadCommand:
    with pytest.raises(BadCommand) as caught:
        load_commands(list(raw))
    return caught.value


def test_every_command_of_the_domain_has_a_wire_form() -> None:
    assert set(commands._KINDS) == {kind.__name__ for kind in get_args(Command)}


def test_each_wire_form_becomes_its_command() -> None:
    assert load_commands(
        [
            {**SCHEDULE, "task_queue": "q", "input": {"n": 1}},
            {"type": "WaitForSignal", "name": "approve"},
            {"type": "RecordSideEffect", "seq": 2, "name": "dice", "value": 6},
            {"type": "RecordSnapshot", "state": {"step": 1}},
            {"type": "UpsertSearchAttributes", "patch": {"customer": "a"}, "seq": 3},
            {"type": "CompleteWorkflow", "result": [1]},
            {"type": "FailWorkflow", "error": "no"},
            {"type": "CancelWorkflow", "reason": "asked"},
        ]
    ) == (
        ScheduleActivity(seq=1, name="add", task_queue="q", input='{"n":1}'),
        WaitForSignal(name="approve"),
        RecordSideEffect(seq=2, name="dice", value="6"),
        RecordSnapshot(state='{"step":1}'),
        UpsertSearchAttributes(patch={"customer": "a"}, seq=3),
        CompleteWorkflow(result="[1]"),
        FailWorkflow(error="no"),
        CancelWorkflow(reason="asked"),
    )


def test_what_is_absent_or_null_takes_its_default() -> None:
    names = (
        "task_queue",
        "input",
        "max_attempts",
        "backoff_coefficient",
        "start_to_close_secs",
        "non_retryable",
    )

    assert load_commands([{**SCHEDULE, **dict.fromkeys(names)}]) == load_commands([SCHEDULE])
    assert load_commands([{"type": "CompleteWorkflow"}, {"type": "CancelWorkflow", "reason": None}]) == (
        CompleteWorkflow(),
        CancelWorkflow(),
    )
    assert load_commands(None) == load_commands([]) == ()


def test_an_activity_can_be_tuned() -> None:
    tuning = {
        "max_attempts": 0,
        "initial_interval_secs": 2,
        "backoff_coefficient": 1,
        "max_interval_secs": 60,
        "jitter": 0,
        "non_retryable": ["ValueError"],
        "start_to_close_secs": 10.5,
        "heartbeat_timeout_secs": 5,
    }

    (command,) = load_commands([{**SCHEDULE, **tuning}])

    assert command == ScheduleActivity(seq=1, name="add", **{**tuning, "non_retryable": ("ValueError",)})


@pytest.mark.parametrize(
    ("raw", "field", "issue"),
    [
        ({"type": "ScheduleActivity", "seq": 1}, "name", "missing_field"),
        ({"type": "ScheduleActivity", "name": "add"}, "seq", "missing_field"),
        ({**SCHEDULE, "seq": True}, "seq", "invalid_type"),
        ({**SCHEDULE, "seq": "1"}, "seq", "invalid_type"),
        ({**SCHEDULE, "seq": 1.0}, "seq", "invalid_type"),
        ({**SCHEDULE, "seq": 0}, "seq", "out_of_range"),
        ({**SCHEDULE, "seq": 2**31}, "seq", "out_of_range"),
        ({**SCHEDULE, "name": ""}, "name", "invalid_id"),
        ({**SCHEDULE, "name": "a\x00"}, "name", "control_character"),
        ({**SCHEDULE, "name": 5}, "name", "invalid_type"),
        ({**SCHEDULE, "max_attempts": -1}, "max_attempts", "out_of_range"),
        ({**SCHEDULE, "max_attempts": True}, "max_attempts", "invalid_type"),
        ({**SCHEDULE, "backoff_coefficient": 0.5}, "backoff_coefficient", "out_of_range"),
        ({**SCHEDULE, "initial_interval_secs": -1}, "initial_interval_secs", "out_of_range"),
        ({**SCHEDULE, "initial_interval_secs": 10**30}, "initial_interval_secs", "out_of_range"),
        ({**SCHEDULE, "start_to_close_secs": 0}, "start_to_close_secs", "out_of_range"),
        ({**SCHEDULE, "jitter": 1.5}, "jitter", "out_of_range"),
        ({**SCHEDULE, "non_retryable": "ValueError"}, "non_retryable", "invalid_type"),
        ({**SCHEDULE, "input": "x" * MAX_PAYLOAD_BYTES}, "input", "payload_too_large"),
        ({"type": "FailWorkflow"}, "error", "missing_field"),
        ({"type": "RecordSnapshot"}, "state", "missing_field"),
        ({"type": "UpsertSearchAttributes", "patch": [1]}, "patch", "invalid_type"),
        ({"type": "UpsertSearchAttributes", "patch": {"a": "x\x00"}}, "patch/a", "control_character"),
        ({"type": "UpsertSearchAttributes", "patch": {"a": [1]}}, "patch/a", "invalid_attribute"),
        ({"type": "UpsertSearchAttributes", "patch": {"a": "x" * 2049}}, "patch/a", "payload_too_large"),
        ({"type": "UpsertSearchAttributes", "patch": {"1a": 1}}, "patch", "invalid_attribute"),
        ({"type": "UpsertSearchAttributes", "patch": {f"k{n}": 1 for n in range(101)}}, "patch",
         "too_many_items"),
        ({"type": "UpsertSearchAttributes", "patch": {f"k{n}": "x" * 2000 for n in range(21)}}, "patch",
         "payload_too_large"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named_with_the_commands_place(raw: dict[str, Any], field: str, issue: str) -> None:
    error = refused({"type": "WaitForSignal", "name": "ok"}, raw)

    assert error.code == "bad_command"
    assert error.members == {"index": 1, "field": field, "issue": issue}
    assert error.message.startswith(f"command 1 ({raw['type']}): {field}: ")


@pytest.mark.parametrize("raw", [{"type": "LaunchRocket"}, {"type": None}, {"type": ["x"]}, {}])
def test_an_unknown_type_is_refused(raw: dict[str, Any]) -> None:
    assert refused(SCHEDULE, raw).members == {"index": 1, "issue": "unknown_type"}


def test_a_command_is_an_object_and_commands_are_an_array() -> None:
    assert refused("CompleteWorkflow").members == {"index": 0, "issue": "invalid_type"}
    with pytest.raises(BadCommand):
        load_commands({"type": "CompleteWorkflow"})


def test_a_turn_has_at_most_a_thousand_commands() -> None:
    many = [{"type": "WaitForSignal", "name": "go"}] * 1000

    assert len(load_commands(many)) == 1000
    assert refused(*many, SCHEDULE).code == "too_many_items"


def test_nul_in_a_workers_error_is_replaced() -> None:
    assert load_commands([{"type": "FailWorkflow", "error": "a\x00b"}]) == (FailWorkflow(error="a\ufffdb"),)
