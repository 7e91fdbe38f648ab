"""Polls of the old way: who gets what, who waits, who counts as alive."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.engine import Engine
from tests.engine.old_way import OldWorker
from tests.engine.old_way import registered
from tests.engine.stories import QUEUE
from tests.engine.stories import T0
from tests.engine.stories import Beside
from tests.engine.stories import Played
from tests.engine.stories import an_activity
from tests.engine.stories import beats_are_due
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import given_an_activity_at_work
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import until_waiting
from tests.engine.stories import without_a_watcher
from tests.processes import until

if TYPE_CHECKING:
    from tests.conftest import Clock

LONG = 120.0


@pytest.fixture
def other(backend: str, clock: Clock) -> Iterator[Engine]:
    """An engine of another process, as far as it can be told, on the same database."""
    opened = Engine.open(backend, clock=clock)
    yield opened
    opened.close()


# ----------------------------------------------------------------------------------------------- who gets what


def test_a_poll_gives_the_task_with_its_whole_history_or_nothing(engine: Engine) -> None:
    worker = OldWorker(engine)
    assert worker.polls() is None
    run = given_a_run(engine, input='{"n":1}')

    task = worker.takes()

    assert {name: task[name] for name in ("workflow_id", "run_id", "input", "attempt", "lease_expires_at")} == {
        "workflow_id": "w", "run_id": run.run_id, "input": {"n": 1}, "attempt": 1, "lease_expires_at": T0 + 30.0,
    }  # fmt: skip
    assert [event["event_type"] for event in task["history"]] == ["WorkflowStarted"]
    assert record(engine, run)["claimed_by"] == "olga"
    assert worker.polls() is None


def test_a_poll_for_work_gives_the_activitys_record_and_its_lease(engine: Engine) -> None:
    given_a_parked(engine, "w", an_activity(input="[1]", start_to_close_secs=60.0))
    worker = OldWorker(engine)

    work = worker.takes_work()

    assert (work["name"], work["input"], work["status"], work["attempt"]) == ("charge", "[1]", "RUNNING", 1)
    assert (work["claimed_by"], work["lease_expires_at"]) == ("olga", T0 + 60.0)
    assert worker.polls_work() is None


def test_a_registered_worker_gets_only_what_is_in_its_namespace_and_of_its_types(engine: Engine) -> None:
    given_a_parked(engine, "host", an_activity(1, "pack"), an_activity(2, "charge"), namespace="shop",
                   worker=Played(engine, namespace="shop"))  # fmt: skip
    given_a_run(engine, "elsewhere", workflow_type="Refund")
    given_a_run(engine, "other", namespace="shop", workflow_type="Order")
    given_a_run(engine, "mine", namespace="shop", workflow_type="Refund")
    worker = registered(engine, namespace="shop", workflows=["Refund"], activities=["charge"])

    assert (worker.takes()["workflow_id"], worker.polls()) == ("mine", None)
    assert (worker.takes_work()["name"], worker.polls_work()) == ("charge", None)
    worker.namespace = "main"  # what a registered worker's poll says does not count
    assert worker.polls() is None


@pytest.mark.parametrize(
    ("workflows", "activities", "gets"),
    [
        (None, None, (True, True)),
        ([], [], (True, True)),
        (["Order"], None, (True, True)),
        (["Order"], [], (True, False)),
        ([], ["charge"], (False, True)),
        ([], None, (False, True)),
        (None, [], (True, False)),
    ],
)
def test_an_absent_list_means_any_and_an_empty_one_none_unless_both_are_empty(
    engine: Engine, workflows: Sequence[str] | None, activities: Sequence[str] | None, gets: tuple[bool, bool]
) -> None:
    given_a_parked(engine, "host", an_activity())
    given_a_run(engine)
    worker = registered(engine, workflows=workflows, activities=activities)

    assert (worker.polls() is not None, worker.polls_work() is not None) == gets


def test_an_unregistered_worker_gets_what_is_in_the_namespace_that_it_names(engine: Engine) -> None:
    given_a_run(engine, "here")
    given_a_run(engine, "there", namespace="shop")
    worker = OldWorker(engine, namespace="shop")

    assert (worker.takes()["workflow_id"], worker.polls()) == ("there", None)


def test_an_unregistered_worker_that_names_no_namespace_gets_the_oldest_of_all(engine: Engine, clock: Clock) -> None:
    for name, namespace in (("first", "zoo"), ("second", "main"), ("third", "shop"), ("fourth", "zoo")):
        given_a_run(engine, name, namespace=namespace)
        clock.advance(1.0)
    given_a_run(engine, "other queue", namespace="shop", task_queue="other")
    worker = OldWorker(engine)

    taken = [worker.takes()["workflow_id"] for _ in range(4)]

    assert taken == ["first", "second", "third", "fourth"]
    assert worker.polls() is None


def test_an_unregistered_worker_gets_activities_of_any_namespace_oldest_first(engine: Engine, clock: Clock) -> None:
    for name, namespace in (("a", "zoo"), ("b", "main")):
        given_a_parked(engine, name, an_activity(), namespace=namespace, worker=Played(engine, namespace=namespace))
        clock.advance(1.0)
    worker = OldWorker(engine)

    assert [worker.takes_work()["workflow_id"] for _ in range(2)] == ["a", "b"]


def test_a_worker_of_a_deleted_namespace_keeps_to_it_and_gets_nothing_of_others(engine: Engine) -> None:
    worker = registered(engine, namespace="shop")
    engine.namespaces.delete("shop")
    given_a_run(engine)

    assert worker.polls() is None
    assert engine.workers.list("shop") == []
    given_a_run(engine, "again", namespace="shop")
    assert worker.takes()["workflow_id"] == "again"


# ------------------------------------------------------------------------------------------------ who waits


def test_who_waits_for_any_namespace_is_woken_by_a_start_in_one(engine: Engine) -> None:
    without_a_watcher(engine)
    waiting = Beside(lambda: OldWorker(engine).polls(wait_secs=LONG))
    until_waiting(engine)

    given_a_run(engine, namespace="shop")

    assert waiting.answer()["namespace"] == "shop"


def test_who_waits_for_any_namespace_is_woken_by_a_start_of_another_process(engine: Engine, other: Engine) -> None:
    without_a_watcher(engine)
    waiting = Beside(lambda: OldWorker(engine).polls(wait_secs=LONG))
    until_waiting(engine)

    given_a_run(other, namespace="shop")

    assert waiting.answer()["namespace"] == "shop"


def test_the_watcher_finds_for_any_namespace_what_no_hint_told(engine: Engine, other: Engine) -> None:
    waiting = Beside(lambda: OldWorker(engine).polls(wait_secs=LONG))
    until_waiting(engine)
    without_a_watcher(other)
    other._wakeups.close()  # it can tell nobody

    given_a_run(other, namespace="shop")

    assert waiting.answer()["namespace"] == "shop"


def test_who_waits_for_any_namespace_is_woken_by_a_back_off_that_falls_due(engine: Engine, clock: Clock) -> None:
    _, worker, task = given_a_running(engine, namespace="shop", worker=Played(engine, namespace="shop"))
    worker.cannot(task)
    waiting = Beside(lambda: OldWorker(engine).polls(wait_secs=LONG))
    until_waiting(engine)
    assert not waiting.over

    clock.advance(1.0)
    engine.wake()

    assert waiting.answer()["attempt"] == 2


def test_who_waits_for_work_of_any_namespace_is_woken_by_a_retry_that_falls_due(engine: Engine, clock: Clock) -> None:
    _, worker, work = given_an_activity_at_work(engine)
    worker.fails(work)
    waiting = Beside(lambda: OldWorker(engine).polls_work(wait_secs=LONG))
    until_waiting(engine)

    clock.advance(1.0)
    engine.wake()

    assert waiting.answer()["attempt"] == 2


def test_a_registered_worker_waits_for_its_own_namespace_only(engine: Engine) -> None:
    without_a_watcher(engine)
    worker = registered(engine, namespace="shop")
    waiting = Beside(lambda: worker.polls(wait_secs=LONG))
    until_waiting(engine)

    given_a_run(engine, "not mine")
    assert not waiting.over
    given_a_run(engine, "mine", namespace="shop")

    assert waiting.answer()["workflow_id"] == "mine"


def test_one_start_wakes_one_of_two_who_wait_and_the_other_waits_on(engine: Engine) -> None:
    without_a_watcher(engine)
    scoped = Beside(lambda: OldWorker(engine, "a", namespace="main").polls(wait_secs=LONG))
    until_waiting(engine, 1)
    anywhere = Beside(lambda: OldWorker(engine, "b").polls(wait_secs=LONG))
    until_waiting(engine, 2)

    given_a_run(engine, "one")
    assert scoped.answer()["workflow_id"] == "one"
    assert not anywhere.over
    given_a_run(engine, "two")

    assert anywhere.answer()["workflow_id"] == "two"


def test_draining_answers_polls_with_nothing(engine: Engine) -> None:
    waiting = Beside(lambda: OldWorker(engine).polls(wait_secs=LONG))
    until_waiting(engine)

    engine.drain()

    assert waiting.answer() is None
    given_a_run(engine)
    assert OldWorker(engine).polls(wait_secs=LONG) is None


# ---------------------------------------------------------------------------------------------- who is alive


def test_a_registration_is_listed_and_each_has_a_name_of_its_own(engine: Engine) -> None:
    one, two = registered(engine, workflows=["Order"]), registered(engine)

    shown = {row["id"]: row for row in engine.workers.list("main")}

    assert shown.keys() == {one.worker_id, two.worker_id}
    assert (shown[one.worker_id]["workflows"], shown[one.worker_id]["activities"]) == ('["Order"]', None)
    assert (shown[one.worker_id]["max_concurrent_workflows"], shown[one.worker_id]["task_queue"]) == (10, QUEUE)


@pytest.mark.parametrize("sign", ["heartbeat", "poll"])
def test_a_sign_of_life_revives_a_retired_worker(engine: Engine, clock: Clock, sign: str) -> None:
    worker = registered(engine)
    clock.advance(90.0)
    assert engine.upkeep.retire_dead_workers() == 1
    assert engine.workers.list("main") == []

    if sign == "heartbeat":
        assert engine.workers.heartbeat(worker.worker_id) == {"ok": True, "registered": True}
    else:
        assert worker.polls() is None
    engine.wake()  # the watcher writes beats that no unit took along

    (shown,) = until(lambda: engine.workers.list("main"))
    assert (shown["id"], shown["last_heartbeat"], shown["registered_at"]) == (worker.worker_id, T0 + 90.0, T0)


def test_a_heartbeat_of_a_worker_that_never_registered_is_taken_and_says_so(engine: Engine) -> None:
    assert engine.workers.heartbeat("nobody") == {"ok": True, "registered": False}
    assert rows(engine, "SELECT worker_id FROM workflow_workers") == []


def test_a_silent_worker_keeps_its_activity_until_the_activitys_own_time_out(engine: Engine, clock: Clock) -> None:
    """Assay's own workers say nothing while an activity runs: silence is no sign that it does not."""
    given_a_parked(engine, "w", an_activity(start_to_close_secs=300.0, initial_interval_secs=0.0))
    worker = registered(engine)
    work = worker.takes_work()
    clock.advance(299.0)

    assert worker.worker_id not in _retired(engine)
    assert worker.beats(work)["cancel_requested"] is False

    clock.advance(1.0)
    engine.upkeep.expire()
    again = OldWorker(engine, "other").takes_work()
    assert (again["id"], again["attempt"]) == (work["id"], 2)
    assert _retired(engine) >= {worker.worker_id}


def test_a_silent_session_loses_its_activity_at_ninety_seconds(engine: Engine, clock: Clock) -> None:
    _, _, work = given_an_activity_at_work(engine, start_to_close_secs=300.0)
    clock.advance(90.0)

    assert _retired(engine) == {"ann"}

    again = OldWorker(engine).takes_work()
    assert (again["id"], again["attempt"]) == (work["id"], 1)


def test_a_silent_worker_of_the_old_way_without_an_activity_is_retired_and_its_task_is_freed(
    engine: Engine, clock: Clock
) -> None:
    given_a_run(engine)
    worker = registered(engine)
    task = worker.takes()
    beats_are_due(engine)
    for _ in range(4):  # it asks for more time, yet is not heard of as a worker
        clock.advance(25.0)
        worker.beats_task(task)

    assert _retired(engine) == {worker.worker_id}

    assert OldWorker(engine, "other").takes()["attempt"] == 1


def test_a_poll_notes_when_the_queue_was_polled_by_a_registered_worker(engine: Engine) -> None:
    worker = registered(engine)
    given_a_run(engine)
    worker.submits(worker.takes(), WaitForSignal(name="go"))

    assert rows(engine, "SELECT namespace, task_queue, last_poll_at FROM queues") == [("main", QUEUE, T0)]


def _retired(engine: Engine) -> set[str]:
    engine.upkeep.retire_dead_workers()
    return {name for (name,) in rows(engine, "SELECT worker_id FROM workflow_workers WHERE retired_at IS NOT NULL")}
