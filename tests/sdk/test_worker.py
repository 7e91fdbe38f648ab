"""Workers at work, against a service in memory: real threads, no sockets, waits only for conditions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest

from assay_wsgi.sdk import ActivityCancelled
from assay_wsgi.sdk import ActivityError
from assay_wsgi.sdk import ApplicationError
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry
from assay_wsgi.sdk import Worker
from assay_wsgi.sdk import activity_info
from assay_wsgi.sdk import cancelled
from assay_wsgi.sdk import heartbeat
from assay_wsgi.sdk.transport import Reply
from tests.sdk.service import Service

Start = Callable[..., Worker]


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.shut()


@pytest.fixture
def work(service: Service) -> Iterator[Start]:
    """Start workers; end them at last."""
    workers: list[Worker] = []

    def start(app: Assay, **options: Any) -> Worker:
        worker = app.worker(connect=service.connect, worker_id="w-1", **options)
        workers.append(worker)
        worker.start()
        return worker

    yield start
    for worker in workers:
        if not worker._closed:
            worker.stop(grace=0.0)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """An activity that waits here is never left behind."""
    event = threading.Event()
    yield event
    event.set()


def hello() -> Assay:
    app = Assay()

    @app.activity
    def greet(who: str) -> str:
        return f"hello, {who}"

    @app.workflow
    def Hello(ctx: Context, who: str) -> str:
        return ctx.execute_activity(greet, who)

    return app


def slow(gate: threading.Event) -> Assay:
    app = Assay()

    @app.activity(heartbeat_timeout=10.0)
    def linger() -> str:
        assert gate.wait(10)
        return "done"

    @app.workflow
    def Slow(ctx: Context) -> str:
        return ctx.execute_activity(linger)

    return app


def test_a_workflow_runs_to_its_end(service: Service, work: Start) -> None:
    work(hello())

    run = service.until_closed(service.start("Hello", "h1", "world"))

    assert run.result == "hello, world"
    assert [event["event_type"] for event in run.history] == [
        "WorkflowStarted",
        "ActivityScheduled",
        "ActivityCompleted",
    ]


def test_hundreds_of_runs_share_few_exchanges(service: Service, work: Start) -> None:
    runs = [service.start("Hello", f"h{n}", str(n)) for n in range(300)]
    work(hello())

    for run in runs:
        service.until_closed(run)

    assert sum(len(body.get("workflow_results", ())) for body in service.bodies) >= 600
    assert max(len(body.get("workflow_results", ())) for body in service.bodies) == 100
    assert len(service.bodies) < 300


def test_the_first_exchange_tells_who_works_and_later_ones_do_not(service: Service, work: Start) -> None:
    work(hello(), queue="q7", namespace="ns")
    service.until_closed(service.start("Hello", "h1", "x"))

    first, *others = service.bodies
    assert first["worker"]["workflows"] == ["Hello"]
    assert first["worker"]["activities"] == ["greet"]
    assert (first["queue"], first["namespace"], first["wait_secs"]) == ("q7", "ns", 0.0)
    assert not any("worker" in body for body in others)
    assert [body["n"] for body in service.bodies] == list(range(1, len(service.bodies) + 1))
    assert len({body["session"] for body in service.bodies}) == 1


def test_only_new_events_travel_for_a_run_that_is_cached(service: Service, work: Start) -> None:
    app = Assay()

    @app.workflow
    def Count(ctx: Context) -> int:
        return sum(ctx.wait_for_signal("add") for _ in range(3))

    work(app)
    run = service.start("Count", "c1")
    for number in (1, 2, 3):
        service.until(lambda: service.waiting, "a parked worker")
        service.signal(run, "add", number)
        seen = len(run.history)
        service.until(lambda seen=seen: run.status != "RUNNING" or len(run.history) > seen)

    assert service.until_closed(run).result == 6
    held = [body["cached_runs"]["run-c1"] for body in service.bodies if body.get("cached_runs")]
    assert held == sorted(held)
    assert held[-1] > 1


def test_results_are_handed_in_while_another_exchange_waits(
    service: Service, work: Start, gate: threading.Event
) -> None:
    work(slow(gate))
    run = service.start("Slow", "s1")
    service.until(lambda: service.activities and service.waiting, "a parked worker with an activity")

    gate.set()
    service.until_closed(run)

    (carried,) = [body for body in service.bodies if "activity_results" in body]
    assert (carried["wait_secs"], carried["workflow_slots"], carried["activity_slots"]) == (0, 0, 0)


def test_slots_are_never_promised_twice(service: Service, work: Start, gate: threading.Event) -> None:
    work(slow(gate), activity_slots=3, workflow_slots=5)
    runs = [service.start("Slow", f"s{n}") for n in range(8)]

    service.until(lambda: sum(one["token"] is not None for one in service.activities.values()) == 3)
    service.until(lambda: service.waiting and len(service.activities) == 8)
    assert sum(one["token"] is not None for one in service.activities.values()) == 3
    assert service.bodies[-1]["activity_slots"] == 0

    gate.set()
    for run in runs:
        service.until_closed(run)
    assert max(body["activity_slots"] for body in service.bodies) == 3
    assert max(body["workflow_slots"] for body in service.bodies) == 5


# --------------------------------------------------------------------------- failures of the service


def test_results_of_a_lost_exchange_are_sent_again_and_its_number_is_told(service: Service, work: Start) -> None:
    work(hello())
    service.until(lambda: service.waiting)
    service.failures.extend([None, "after", "before", "claimed"])

    run = service.until_closed(service.start("Hello", "h1", "x"))

    assert run.result == "hello, x"
    assert len(run.history) == 3
    assert service.lost
    assert service.lost <= {body["n"] for body in service.bodies}


def test_a_busy_service_is_asked_again_after_the_time_it_names(service: Service, work: Start) -> None:
    busy = Reply(503, {"error": "busy", "code": "store_busy"}, {"Retry-After": "0.05"})
    service.failures.extend([busy, Reply(502, None, {}), busy])
    work(hello())

    assert service.until_closed(service.start("Hello", "h1", "x")).result == "hello, x"
    assert "worker" in service.bodies[3], "the session had not begun yet"


@pytest.mark.parametrize("code", ["store_busy", "outcome_unknown", "store_unavailable", "internal"])
def test_a_result_that_could_not_be_stored_is_sent_again(service: Service, work: Start, code: str) -> None:
    service.outcomes["w.1"] = {"error": "busy", "code": code}
    work(hello())

    assert service.until_closed(service.start("Hello", "h1", "x")).result == "hello, x"
    assert [one["task_token"] for one in service.reports].count("w.1") == 2


@pytest.mark.parametrize("code", ["lease_lost", "stale_attempt", "workflow_closed"])
def test_a_result_that_comes_too_late_is_dropped_and_the_run_forgotten(
    service: Service, work: Start, code: str
) -> None:
    worker = work(hello())
    service.outcomes["w.1"] = {"error": "late", "code": code}
    service.start("Hello", "h1", "x")

    service.until(lambda: any(one["task_token"] == "w.1" for one in service.reports))
    second = service.until_closed(service.start("Hello", "h2", "y"))

    assert second.result == "hello, y"
    assert [one["task_token"] for one in service.reports].count("w.1") == 1
    assert not any("run-h1" in body.get("cached_runs", {}) for body in service.bodies[-1:])
    assert not worker.ended.is_set()


def test_a_close_that_did_not_know_of_a_signal_is_decided_anew(service: Service, work: Start) -> None:
    app = Assay()

    @app.workflow
    def Last(ctx: Context) -> Any:
        ctx.register_query("stage", lambda: "open")
        return ctx.wait_for_signal("go")

    run = service.start("Last", "l1")
    service.signal(run, "go", 1)
    service.outcomes["w.1"] = {"error": "a signal came", "code": "unhandled_events"}
    work(app)
    service.until(lambda: service.reports)
    run.token = None
    service.event(run, "SignalReceived", {"signal": "more", "payload": None})

    assert service.until_closed(run).result == 1
    assert run.state == {"stage": "open"}, "the refused turn's state was not taken for shown"


def test_one_bad_result_does_not_hold_up_the_others(service: Service, work: Start) -> None:
    work(hello())
    service.until(lambda: service.waiting)
    refuse = Reply(413, {"error": "too large", "code": "payload_too_large"}, {})
    real = service.exchange

    def picky(body: dict[str, Any]) -> Reply:
        results = [one.get("result") for one in body.get("activity_results", ())]
        return refuse if "hello, 13" in results else real(body)

    service.exchange = picky  # type: ignore[method-assign]
    runs = [service.start("Hello", f"h{n}", str(n)) for n in range(20)]

    for run in runs:
        service.until_closed(run)
    assert [run.status for run in runs].count("COMPLETED") == 19
    assert runs[13].status == "FAILED"
    assert "too large" in runs[13].error


def test_a_replaced_session_ends_the_worker(service: Service, work: Start, caplog: pytest.LogCaptureFixture) -> None:
    worker = work(hello())
    service.until(lambda: service.waiting)
    service.session = "another"
    service.start("Hello", "h1", "x")
    service.bodies.clear()

    assert worker.ended.wait(10)
    assert "session_replaced" in (worker.error or "")
    assert any(record.levelname == "ERROR" for record in caplog.records)


def test_a_worker_that_makes_its_namespace_by_a_slip_says_so(
    service: Service, work: Start, caplog: pytest.LogCaptureFixture
) -> None:
    service.namespace_made = True
    run = service.start("Hello", "h1", "x")

    work(hello(), namespace="shpo")
    service.until_closed(run)

    assert "namespace 'shpo' was not there and is made for this worker" in caplog.text


def test_a_service_that_does_not_know_the_session_gets_it_begun_again(service: Service, work: Start) -> None:
    work(hello())
    service.until(lambda: service.waiting)
    unknown = {"results": [], "workflow_tasks": [], "activity_tasks": [], "heartbeats": [], "drain": False}
    service.failures.append(Reply(200, {**unknown, "code": "session_unknown", "error": "begin"}, {}))

    # The parked exchange brings the turn; the next one meets the unknowing service.
    run = service.until_closed(service.start("Hello", "h1", "x"))

    assert run.result == "hello, x"
    assert sum("worker" in body for body in service.bodies) == 2


def test_a_token_that_is_not_accepted_ends_the_worker(service: Service, work: Start) -> None:
    service.failures.append(Reply(401, {"error": "no such key", "code": "unauthorized"}, {}))
    worker = work(hello())

    assert worker.ended.wait(10)
    assert "no such key" in (worker.error or "")


def test_a_service_that_restarts_is_come_back_to(service: Service, work: Start) -> None:
    service.drain = True
    work(hello())
    service.start("Hello", "h1", "x")
    service.until(lambda: len(service.bodies) >= 2)
    service.drain = False

    assert service.until_closed(service.runs["run-h1"]).result == "hello, x"


# --------------------------------------------------------------------------- turns that fail


def test_an_unknown_workflow_type_fails_the_task_not_the_run(service: Service, work: Start) -> None:
    work(hello())
    run = service.start("Stranger", "s1")

    service.until(lambda: run.task_failures)

    assert run.status == "RUNNING"
    assert run.task_failures[0]["cause"] == "unknown_type"
    assert "Stranger" in run.task_failures[0]["message"]


def test_a_gap_in_the_history_fails_the_task_and_the_whole_history_mends_it(service: Service, work: Start) -> None:
    app = Assay()

    @app.workflow
    def Wait(ctx: Context) -> Any:
        return ctx.wait_for_signal("go")

    worker = work(app)
    run = service.start("Wait", "g1")
    service.until(lambda: service.waiting and len(run.history) == 2)
    with worker._lock:  # as if it had been given up while the exchange that offers it waits
        worker._cache.evict(worker._cache._runs["run-g1"])
    service.signal(run, "go", "on")
    service.until(lambda: run.task_failures)
    assert run.task_failures[0]["cause"] == "history_gap"

    service.signal(run, "go", "again")
    assert service.until_closed(run).result == "on"


def test_workflow_code_that_hangs_does_not_hold_up_the_others(
    service: Service, work: Start, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    app = hello()

    @app.workflow
    def Hang(ctx: Context) -> None:
        assert gate.wait(10)

    work(app)
    hanging = service.start("Hang", "x1")
    service.until(lambda: hanging.token)
    other = service.until_closed(service.start("Hello", "h1", "x"))

    assert other.result == "hello, x"
    assert "workflow code has not come back" in caplog.text
    assert "workflow=x1 type=Hang" in caplog.text
    gate.set()
    assert service.until_closed(hanging).status == "COMPLETED"


# --------------------------------------------------------------------------- activities


def test_an_activity_failure_says_what_it_was(service: Service, work: Start) -> None:
    class Declined(Exception):
        pass

    app = Assay()

    @app.activity(retry=Retry(max_attempts=2, non_retryable=(LookupError, "Limit")))
    def fail(how: str) -> None:
        if how == "own type":
            raise ApplicationError("too much", type="Limit", details={"limit": 5})
        if how == "subclass":
            raise KeyError("gone")
        if how == "odd details":
            raise ApplicationError("odd", non_retryable=True, details={1, 2})
        raise Declined("no")

    @app.workflow
    def Try(ctx: Context, how: str) -> Any:
        try:
            ctx.execute_activity(fail, how)
        except ActivityError as error:
            return [error.attempt, error.type, error.message]

    work(app)
    hows = ["own type", "subclass", "odd details", "plain"]
    results = [service.until_closed(service.start("Try", how, how)).result for how in hows]
    failures = {one["failure"]["error"]: one["failure"] for one in service.reports if "failure" in one}

    assert results[0] == [1, "Limit", "Limit: too much"]
    assert failures["Limit: too much"]["details"] == {"limit": 5}
    assert results[1] == [1, "KeyError", "KeyError: 'gone'"]
    assert failures["KeyError: 'gone'"]["non_retryable"] is True
    assert results[2][0] == 1
    assert results[3][0] == 2, "tried again"
    assert results[3][1].endswith("Declined")
    assert results[3][1].startswith(__name__)
    assert "raise Declined" in failures[results[3][2]]["trace"]


def test_heartbeats_are_sent_and_the_next_attempt_gets_their_details(service: Service, work: Start) -> None:
    app = Assay()

    @app.activity(heartbeat_timeout=10.0)
    def copy() -> Any:
        info = activity_info()
        if info.attempt == 1:
            heartbeat({"page": 3})
            service.until(lambda: service.beats)
            raise OSError("disk")
        return [info.heartbeat_details, info.attempt, info.workflow_id, info.seq, info.name]

    @app.workflow
    def Copy(ctx: Context) -> Any:
        return ctx.execute_activity(copy)

    work(app)

    assert service.until_closed(service.start("Copy", "c1")).result == [{"page": 3}, 2, "c1", 1, "copy"]
    (beat,) = [body for body in service.bodies if "heartbeats" in body]
    assert (beat["workflow_slots"], beat["activity_slots"], beat["wait_secs"]) == (0, 0, 0)


@pytest.mark.parametrize("how", ["asked", "lost"])
def test_an_activity_that_nobody_waits_for_learns_of_it_at_its_heartbeat(
    service: Service, work: Start, how: str
) -> None:
    seen: list[bool] = []
    app = Assay()

    @app.activity(heartbeat_timeout=10.0)
    def endless() -> None:
        if how == "asked":
            service.cancel_beats = True
        else:
            next(iter(service.activities.values()))["token"] = "a.other"
        heartbeat(1)
        service.until(lambda: service.beats)
        while not cancelled():
            service.until(lambda: True)
        seen.append(cancelled())
        heartbeat(2)

    @app.workflow
    def Endless(ctx: Context) -> Any:
        ctx.execute_activity(endless)

    work(app)
    service.start("Endless", "e1")
    service.until(lambda: any("failure" in one for one in service.reports))

    assert seen == [True]
    (failure,) = [one["failure"] for one in service.reports if "failure" in one]
    assert failure["error_type"].endswith(ActivityCancelled.__name__)
    assert failure["non_retryable"] is True


def test_an_activity_that_is_beaten_for_learns_of_its_cancellation_without_a_heartbeat_of_its_own(
    service: Service, work: Start
) -> None:
    app = Assay()

    @app.activity(auto_heartbeat=True, heartbeat_timeout=0.3)
    def endless() -> str:
        service.until(lambda: len(service.beats) >= 2)
        service.cancel_beats = True
        while not cancelled():
            service.until(lambda: True)
        return "stopped"

    @app.workflow
    def Endless(ctx: Context) -> str:
        return ctx.execute_activity(endless)

    work(app)

    assert service.until_closed(service.start("Endless", "e1")).result == "stopped"
    assert {beat["details"] for beat in service.beats} == {None}, "details of an earlier attempt stay"


def test_only_activity_code_may_ask_about_its_attempt() -> None:
    with pytest.raises(RuntimeError, match="only activity code"):
        heartbeat()


# --------------------------------------------------------------------------- the end


def test_a_stopped_worker_finishes_what_it_holds_and_hands_it_in(
    service: Service, work: Start, gate: threading.Event
) -> None:
    worker = work(slow(gate))
    run = service.start("Slow", "s1")
    service.until(lambda: service.waiting and any(one["token"] for one in service.activities.values()))

    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    assert worker.ended.wait(10)
    gate.set()
    stopping.join(10)

    assert [event["event_type"] for event in run.history][-1] == "ActivityCompleted"
    assert run.status == "RUNNING", "the next turn is another worker's"


def test_what_is_not_finished_in_time_is_given_back(service: Service, work: Start, gate: threading.Event) -> None:
    worker = work(slow(gate))
    service.start("Slow", "s1")
    service.until(lambda: service.waiting and any(one["token"] for one in service.activities.values()))
    (activity,) = service.activities.values()

    assert worker.stop(grace=0.0) is False

    assert service.session == "", "its session is over"
    assert activity["token"] is None
    service.activities.clear()
    gate.set()


def test_work_that_is_handed_out_too_late_is_given_back(service: Service, work: Start) -> None:
    worker = work(hello())
    service.until(lambda: service.waiting)
    with service._changed:  # the parked exchange is answered after the worker has begun to stop
        worker._lock.acquire()
        worker._halt()
        worker._lock.release()
    run = service.start("Hello", "h1", "x")

    service.until(lambda: service.lost)
    assert run.token is None
    assert run.ready


def test_an_app_without_definitions_has_no_worker() -> None:
    with pytest.raises(ValueError, match="nothing to work on"):
        Assay().worker()
