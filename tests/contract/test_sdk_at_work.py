"""Our SDK against the service as it runs: what code waits for, what it starts, and how it goes on."""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from assay_wsgi.sdk import ApplicationError
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import ChildWorkflowError
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry
from assay_wsgi.sdk import WorkflowCancelled
from assay_wsgi.sdk import WorkflowCancelledError
from assay_wsgi.sdk import WorkflowTimedOut
from assay_wsgi.sdk import activity_info
from assay_wsgi.sdk import heartbeat
from tests.contract.service import Service
from tests.processes import PATIENCE_SECS
from tests.processes import until

app = Assay(queue="sdk-at-work")
cleaned: list[str] = []  # by activities of this process
let_go: defaultdict[str, threading.Event] = defaultdict(threading.Event)  # by workflow id


@app.activity
def double(n: int) -> int:
    return 2 * n


@app.activity(retry=Retry(max_attempts=3, initial=60.0))
def fails_first(n: int) -> Any:
    info = activity_info()
    if info.attempt == 1:
        heartbeat({"at": n})
        raise ApplicationError("not yet", next_retry_delay=0.0)
    return [info.attempt, info.heartbeat_details]


@app.activity
def clean_up(name: str) -> None:
    cleaned.append(name)


@app.activity
def dawdle() -> None:
    let_go[activity_info().workflow_id].wait(PATIENCE_SECS)


@app.workflow
def Sleeper(ctx: Context) -> str:
    before = ctx.now()
    ctx.sleep(timedelta(milliseconds=50))
    return "slept" if ctx.now() - before >= timedelta(milliseconds=50) else "woke too early"


@app.workflow
def Decision(ctx: Context, timeout: float) -> Any:
    return [ctx.wait_for_signal("decide", timeout=timeout), "decided"]


@app.workflow
def TwoDecisions(ctx: Context, timeout: float) -> Any:
    return [ctx.wait_for_signal("decide", timeout=timeout), ctx.wait_for_signal("decide")]


@app.workflow
def FanOut(ctx: Context, count: int) -> Any:
    return list(ctx.gather(*[ctx.start_activity(double, n) for n in range(count)]))


@app.workflow
def Race(ctx: Context) -> Any:
    work, alarm = ctx.start_activity(double, 21), ctx.start_timer(3600)
    first = ctx.wait_any(work, alarm)
    alarm.cancel()
    return [first is work, work.result()]


@app.workflow
def Impatient(ctx: Context) -> Any:
    work, alarm = ctx.start_activity(dawdle), ctx.start_timer(0.05)
    first = ctx.wait_any(work, alarm)
    work.cancel()
    return [first is alarm, work.done]


@app.workflow
def Parcel(ctx: Context, n: int) -> int:
    if n < 0:
        raise ApplicationError("no such parcel")
    return ctx.execute_activity(double, n)


@app.workflow
def Shipment(ctx: Context, count: int) -> Any:
    parcels = [ctx.start_child(Parcel, n) for n in range(count)]
    begun = all(parcel.wait_started() for parcel in parcels)
    labels = list(ctx.gather(*parcels))
    try:
        ctx.execute_child(Parcel, -1)
    except ChildWorkflowError as error:
        return [begun, labels, error.close_reason]
    return "a parcel that is none was shipped"


@app.workflow
def Waiting(ctx: Context) -> None:
    ctx.wait_for_signal("never")


@app.workflow
def Recaller(ctx: Context) -> str:
    child = ctx.start_child(Waiting)
    child.wait_started()
    child.cancel()
    try:
        child.result()
    except ChildWorkflowError as error:
        return error.close_reason
    return "the child went on"


@app.workflow
def Counter(ctx: Context, seen: list[int], left: int) -> list[int]:
    seen.append(ctx.wait_for_signal("count"))
    if left > 1:
        ctx.continue_as_new(seen, left - 1)
    return seen


@app.workflow
def Careful(ctx: Context) -> None:
    try:
        ctx.wait_for_signal("never")
    except WorkflowCancelled:
        with ctx.shield():
            ctx.execute_activity(clean_up, ctx.workflow_id)
        raise


@app.workflow
def Retried(ctx: Context) -> Any:
    return ctx.execute_activity(fails_first, 7)


@app.workflow
def Chance(ctx: Context) -> list[Any]:
    drawn = [str(ctx.uuid4()), ctx.random().random(), ctx.now().isoformat()]
    ctx.register_query("drawn", lambda: drawn)
    ctx.wait_for_signal("go")
    return drawn


def at(service: Service, program: Assay = app) -> Assay:
    """The app at a service, in a namespace of its own."""
    place = Assay(url=service.root, namespace=f"sdk-{uuid.uuid4().hex[:8]}", queue=program.queue)
    place.workflows.update(program.workflows)
    place.activities.update(program.activities)
    return place


@pytest.fixture
def work(attended: Service) -> Iterator[Assay]:
    """The app at the service, with a worker."""
    place = at(attended)
    worker = place.worker()
    worker.start()
    yield place
    worker.stop(grace=5)


def ran(work: Assay, workflow: Any, *args: Any, **options: Any) -> Any:
    return work.client.start(workflow, *args, **options).result(timeout=PATIENCE_SECS)


def timers(service: Service, work: Assay, workflow_id: str) -> list[str]:
    """The types of a run's events about timers."""
    return history(service, work, workflow_id, "Timer")


def history(service: Service, work: Assay, workflow_id: str, about: str) -> list[str]:
    """The types of a run's events whose names begin so."""
    answer = requests.get(
        f"{service.root}/api/v1/workflows/{workflow_id}/events?namespace={work.namespace}", timeout=PATIENCE_SECS
    )
    return [event["event_type"] for event in answer.json() if event["event_type"].startswith(about)]


def test_code_sleeps_and_time_has_passed(work: Assay) -> None:
    assert ran(work, Sleeper) == "slept"


def test_a_wait_ends_by_its_signal_or_by_its_time_and_leaves_no_timer(attended: Service, work: Assay) -> None:
    assert ran(work, Decision, 0.05, id="late") == [None, "decided"]
    handle = work.client.start(Decision, 3600.0, id="early")
    handle.signal("decide", "yes")

    assert handle.result(timeout=PATIENCE_SECS) == ["yes", "decided"]

    assert timers(attended, work, "late") == ["TimerScheduled", "TimerFired"]
    assert timers(attended, work, "early") in ([], ["TimerScheduled", "TimerCancelled"])


def test_the_signal_that_meets_a_parked_wait_ends_its_timer_while_the_run_goes_on(
    attended: Service, work: Assay
) -> None:
    handle = work.client.start(TwoDecisions, 3600.0, id="parked")
    until(lambda: handle.describe()["waiting_for"])
    handle.signal("decide", "yes")

    until(lambda: len(timers(attended, work, "parked")) > 1)

    assert timers(attended, work, "parked") == ["TimerScheduled", "TimerCancelled"]
    assert handle.describe()["status"] == "RUNNING"
    handle.signal("decide", "again")
    assert handle.result(timeout=PATIENCE_SECS) == ["yes", "again"]


def test_a_signal_that_came_too_late_is_there_for_the_next_wait(attended: Service, work: Assay) -> None:
    handle = work.client.start(TwoDecisions, 0.05, id="late")
    until(lambda: timers(attended, work, "late") == ["TimerScheduled", "TimerFired"])
    handle.signal("decide", "late")

    assert handle.result(timeout=PATIENCE_SECS) == [None, "late"]


def test_an_activity_that_loses_to_a_timer_is_given_up_while_it_is_still_at_work(
    attended: Service, work: Assay
) -> None:
    name = f"impatient-{work.namespace}"

    assert ran(work, Impatient, id=name) == [True, True]

    assert history(attended, work, name, "Activity") == ["ActivityScheduled", "ActivityCancelled"]
    let_go[name].set()


def test_activities_at_once_come_back_in_their_order(work: Assay) -> None:
    assert ran(work, FanOut, 20) == [2 * n for n in range(20)]


def test_the_loser_of_a_race_is_cancelled(attended: Service, work: Assay) -> None:
    assert ran(work, Race, id="race") == [True, 42]
    assert timers(attended, work, "race") == ["TimerScheduled", "TimerCancelled"]


def test_children_start_end_and_fail_before_their_parents_eyes(work: Assay) -> None:
    assert ran(work, Shipment, 5) == [True, [0, 2, 4, 6, 8], "failed"]


def test_a_parent_recalls_its_child(work: Assay) -> None:
    assert ran(work, Recaller) == "cancelled"


def test_a_chain_loses_no_signal_and_its_starter_gets_the_last_result(work: Assay) -> None:
    handle = work.client.start(Counter.prepare(seen=[], left=10), id="counter")
    for n in range(10):
        work.client.handle("counter").signal("count", n)

    assert handle.result(timeout=PATIENCE_SECS) == list(range(10))


def test_a_cancelled_run_cleans_up_behind_a_shield(work: Assay) -> None:
    handle = work.client.start(Careful, id=f"careful-{work.namespace}")
    until(lambda: handle.describe()["waiting_for"])
    handle.cancel("enough")

    with pytest.raises(WorkflowCancelledError):
        handle.result(timeout=PATIENCE_SECS)

    assert f"careful-{work.namespace}" in cleaned
    assert handle.describe()["status"] == "CANCELLED"


def test_a_failure_names_its_own_delay_and_the_next_attempt_knows_how_far_the_last_one_was(work: Assay) -> None:
    assert ran(work, Retried) == [2, {"at": 7}]


def test_a_run_whose_time_is_over_is_told_so(work: Assay) -> None:
    with pytest.raises(WorkflowTimedOut):
        ran(work, Waiting, run_timeout=0.2)


def test_chance_and_time_are_the_same_for_the_worker_that_goes_on(attended: Service) -> None:
    place = at(attended)
    first = place.worker()
    first.start()
    handle = place.client.start(Chance, id="chance")
    until(lambda: handle.describe()["waiting_for"])
    shown = handle.state("drawn")
    assert first.stop(grace=5)

    second = place.worker()
    second.start()
    handle.signal("go")
    drawn = handle.result(timeout=PATIENCE_SECS)
    second.stop(grace=5)

    assert drawn == shown
