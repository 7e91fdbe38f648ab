"""Attempts of activities: what their code is told, what the service hears of their end, how they are asked for."""

from __future__ import annotations

import json
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest

from assay_wsgi.sdk import ApplicationError
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry
from assay_wsgi.sdk import activity_info
from assay_wsgi.sdk import heartbeat
from assay_wsgi.sdk.activities import Attempt
from tests.sdk.histories import Past
from tests.sdk.service import Service

app = Assay()


@app.activity
def told() -> Any:
    info = activity_info()
    info.heartbeat_details.append("mine")
    return [info.attempt, info.deadline, activity_info().heartbeat_details]


@app.activity
def later(delay: Any, final: bool = False) -> None:
    raise ApplicationError("not now", type="Busy", next_retry_delay=delay, non_retryable=final)


@app.activity
def much_later() -> None:
    raise ApplicationError("closed", next_retry_delay=timedelta(hours=1))


def report(name: str, input: Any = None, **more: Any) -> Any:
    task = {
        "task_token": "a.1",
        "workflow_id": "w",
        "run_id": "r",
        "seq": 1,
        "name": name,
        "input": input,
        "attempt": 2,
    }
    return json.loads(Attempt({**task, **more}, 1, lambda: None).perform(app.activities).text)


def test_an_attempt_knows_its_deadline_and_what_the_last_one_told() -> None:
    answer = report("told", heartbeat_details=["page 3"], lease_expires_at=90.5)

    assert answer["result"] == [2, "1970-01-01T00:01:30.500000+00:00", ["page 3"]]


def test_an_attempt_without_a_deadline_has_none() -> None:
    assert report("told", heartbeat_details=[], lease_expires_at=None)["result"] == [2, None, []]


def test_a_failure_may_say_when_to_try_again() -> None:
    assert report("later", {"delay": 2.5})["failure"]["next_retry_delay"] == 2.5
    assert report("much_later")["failure"]["next_retry_delay"] == 3600.0


def test_a_failure_that_is_final_or_says_nothing_has_no_delay() -> None:
    assert "next_retry_delay" not in report("later", {"delay": 2.5, "final": True})["failure"]
    assert "next_retry_delay" not in report("later", {"delay": None})["failure"]


def test_a_delay_without_an_end_is_an_error_where_it_is_made() -> None:
    assert report("later", {"delay": "inf"})["failure"]["error"] == "ValueError: a duration must be finite, not inf"


@pytest.mark.parametrize("way", ["defined", "optional"])
def test_the_time_in_the_queue_and_over_all_attempts_can_be_limited(way: str) -> None:
    @Assay().activity(schedule_to_start=30.0, schedule_to_close=600.0)
    def defined() -> None: ...

    @Assay().activity
    def bare() -> None: ...

    @Assay().workflow
    def limited(ctx: Context) -> None:
        ctx.start_activity(
            defined if way == "defined" else bare.options(schedule_to_start=30.0, schedule_to_close=600.0)
        )
        ctx.execute_activity(bare)

    first, second = Past().turn(limited).commands

    assert (first["schedule_to_start_secs"], first["schedule_to_close_secs"]) == (30.0, 600.0)
    assert not {"schedule_to_start_secs", "schedule_to_close_secs"} & set(second)
    assert defined.options(queue="q").command == defined.command


def test_a_heartbeat_moves_the_deadline() -> None:
    moved = Assay()

    @moved.activity(heartbeat_timeout=10.0)
    def beating() -> Any:
        before = activity_info().deadline
        heartbeat(1)
        while activity_info().deadline == before:
            service.until(lambda: True)
        return activity_info().deadline

    @moved.workflow
    def Beat(ctx: Context) -> Any:
        return ctx.execute_activity(beating)

    service = Service()
    service.beats_expire_at = 77.0
    worker = moved.worker(connect=service.connect)
    worker.start()
    try:
        result = service.until_closed(service.start("Beat", "b1")).result
    finally:
        worker.stop()
        service.shut()

    assert datetime.fromisoformat(result) == datetime(1970, 1, 1, 0, 1, 17, tzinfo=UTC)


def test_a_task_can_suggest_to_continue_as_new() -> None:
    suggesting = Assay()

    @suggesting.workflow
    def Long(ctx: Context) -> Any:
        return ctx.info.continue_as_new_suggested

    service = Service()
    service.long_history = True
    worker = suggesting.worker(connect=service.connect)
    worker.start()
    try:
        assert service.until_closed(service.start("Long", "l1")).result is True
    finally:
        worker.stop()
        service.shut()


# --------------------------------------------------------------------------- what does not fit


def test_an_input_that_does_not_fit_fails_the_attempt_as_the_retry_says() -> None:
    @app.activity(name="strict", retry=Retry(non_retryable=("Misfit",)))
    def strict(text: str) -> str:
        return text

    @app.activity(name="lenient")
    def lenient(text: str) -> str:
        return text

    again, final = report("lenient", 5)["failure"], report("strict", 5)["failure"]

    assert again["error"] == "assay_wsgi.sdk.errors.Misfit: text: needs a string, not 5"
    assert (again["non_retryable"], final["non_retryable"]) == (False, True)


# --------------------------------------------------------------------------- the worker's own heartbeats


def attempt(auto_since: float | None, timeout: float | None = 30.0) -> Attempt:
    task = {"task_token": "a.1", "name": "told", "run_id": "r", "heartbeat_timeout_secs": timeout}
    return Attempt(task, 1, lambda: None, auto_since)


@pytest.mark.parametrize(("timeout", "every"), [(6.0, 2.0), (30.0, 10.0), (600.0, 10.0), (None, 10.0)])
def test_the_worker_beats_three_times_in_a_timeout_and_soon_enough_to_hear_of_a_cancel(
    timeout: float | None, every: float
) -> None:
    one = attempt(100.0, timeout)

    assert one.beat_in(100.0) == every
    assert one.beat_in(100.0 + every) == 0.0
    one.beaten(None, 105.0)
    assert one.beat_in(105.0) == every
    one.cancelled = True
    assert one.beat_in(200.0) is None


def test_the_worker_does_not_beat_for_an_activity_that_beats_itself() -> None:
    one = attempt(None)

    assert one.beat_in(100.0) is None
    one.beat("page 3")
    assert one.beat_in(100.0) == 0.0


def test_an_activity_that_is_beaten_for_has_a_heartbeat_timeout() -> None:
    app = Assay()

    @app.activity(auto_heartbeat=True)
    def usual() -> None: ...

    @app.activity(auto_heartbeat=True, heartbeat_timeout=5)
    def own() -> None: ...

    assert usual.command["heartbeat_timeout_secs"] == 30.0
    assert own.command["heartbeat_timeout_secs"] == 5.0
    assert own.options(queue="other").auto_heartbeat
    assert app.activities["usual"].options(timeout=5).heartbeat_timeout == 30.0
