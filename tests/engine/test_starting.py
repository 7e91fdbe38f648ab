"""Starting runs: one at a time and a thousand at once, under ids that were used before or not."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import IdempotencyKeyReused
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.domain.requests import RunRef
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import a_start
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import told

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

NEWEST = RunRef(workflow_id="w", namespace="main")


def test_a_started_run_is_pending_and_ready_for_a_worker(engine: Engine) -> None:
    started = engine.workflows.start(a_start(input='{"n":1}', search_attributes={"city": "Bern"}))

    run = RunRef(workflow_id="w", run_id=started["run_id"])
    assert started == {"workflow_id": "w", "run_id": run.run_id, "status": "PENDING"}
    shown = record(engine, run)
    assert (shown["status"], shown["input"], shown["created_at"], shown["claimed_by"]) == (
        "PENDING", '{"n":1}', T0, None,
    )  # fmt: skip
    assert '"city":"Bern"' in shown["search_attributes"]
    assert "assay_engine_version" in shown["search_attributes"]
    (event,) = engine.workflows.events(run)
    assert (event["seq"], event["event_type"], event["payload"], event["timestamp"]) == (
        1, "WorkflowStarted", '{"n":1}', T0,
    )  # fmt: skip
    task = Played(engine).takes()
    assert (task["input"], task["attempt"], task["history_seq"], task["lease_expires_at"]) == ({"n": 1}, 1, 1, T0 + 30)
    assert record(engine, run)["claimed_by"] == "ann"


def test_the_id_of_an_open_run_is_taken(engine: Engine) -> None:
    first = given_a_run(engine)

    with pytest.raises(AlreadyStarted) as refusal:
        engine.workflows.start(a_start())

    assert refusal.value.members == {"run_id": first.run_id, "run_status": "PENDING"}
    assert engine.workflows.start(a_start(id_conflict="use_existing", id_reuse="reject")) == {
        "workflow_id": "w", "run_id": first.run_id, "status": "PENDING", "already_started": True,
    }  # fmt: skip
    assert history(engine, NEWEST) == ["WorkflowStarted"]


def test_terminate_existing_ends_the_old_run_with_its_work_and_starts_anew(engine: Engine, clock: Clock) -> None:
    old, worker, task = given_a_running(engine)
    clock.advance(1.0)

    second = engine.workflows.start(a_start(id_conflict="terminate_existing"))

    assert record(engine, NEWEST)["run_id"] == second["run_id"] != old.run_id
    assert (record(engine, old)["close_reason"], record(engine, NEWEST)["status"]) == ("terminated", "PENDING")
    assert worker.reports(task, CompleteWorkflow())["code"] == "workflow_closed"
    assert worker.takes()["run_id"] == second["run_id"]


def test_whether_an_id_may_be_used_again_is_the_callers_word(engine: Engine, clock: Clock) -> None:
    first, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow())
    for reuse in ("reject", "allow_failed_only"):
        with pytest.raises(AlreadyStarted):
            engine.workflows.start(a_start(id_reuse=reuse))

    second = given_a_run(engine, id_reuse="allow")
    worker.reports(worker.takes(), FailWorkflow(error="no"))
    third = given_a_run(engine, id_reuse="allow_failed_only")

    moments = [record(engine, run)["created_at"] for run in (first, second, third)]
    assert moments[0] == T0
    assert all(0.9e-6 < later - earlier < 2e-6 for earlier, later in pairwise(moments))
    found, _ = engine.workflows.list(ListFilter())
    assert [run["run_id"] for run in found] == [third.run_id, second.run_id, first.run_id]
    assert record(engine, NEWEST)["run_id"] == third.run_id


def test_the_newest_run_stays_the_newest_when_the_clock_goes_back(engine: Engine, clock: Clock) -> None:
    _, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow())

    clock.advance(-3600.0)
    second = given_a_run(engine)

    assert record(engine, NEWEST)["run_id"] == second.run_id
    assert record(engine, second)["created_at"] > T0


def test_a_namespace_is_made_by_its_first_run_and_ids_are_its_own(engine: Engine) -> None:
    here, there = given_a_run(engine), given_a_run(engine, namespace="shop")

    assert [row["name"] for row in engine.namespaces.list()] == ["main", "shop"]
    assert here.run_id != there.run_id
    assert engine.namespaces.stats("shop")["pending"] == 1
    assert record(engine, there)["namespace"] == "shop"


def test_a_run_without_an_id_is_named_and_never_twice_the_same(engine: Engine) -> None:
    ids = [engine.workflows.start(a_start(None))["workflow_id"] for _ in range(3)]

    assert ids == [f"wf-order-{int(T0 * 1000) + place}" for place in range(3)]


def test_a_thousand_runs_start_in_one_unit_each_with_its_own_outcome(engine: Engine) -> None:
    taken = given_a_run(engine, "n-500")
    requests = [a_start(f"n-{place}") for place in range(997)]
    requests += [a_start("n-0"), a_start("n-1", id_conflict="use_existing"), a_start("x", namespace="shop")]
    before = rows(engine, "SELECT SUM(number) FROM units")

    outcomes = engine.workflows.start_batch(requests)

    assert rows(engine, "SELECT SUM(number) FROM units") == [(before[0][0] + 1,)]
    refused = {place: outcome for place, outcome in enumerate(outcomes) if isinstance(outcome, Exception)}
    assert {place: getattr(error, "members", {})["run_id"] for place, error in refused.items()} == {
        500: taken.run_id, 997: outcomes[0]["run_id"],
    }  # fmt: skip
    assert outcomes[998] == {**outcomes[1], "already_started": True}
    assert [outcome["workflow_id"] for outcome in outcomes if isinstance(outcome, dict)] == [
        *(f"n-{place}" for place in range(997) if place != 500), "n-1", "x",
    ]  # fmt: skip
    assert engine.namespaces.stats("main")["pending"] == 997
    assert len({run_id for (run_id,) in rows(engine, "SELECT run_id FROM workflows")}) == 998


def test_an_idempotency_key_gets_the_first_answer_until_it_expires(engine: Engine, clock: Clock) -> None:
    key = Idempotency(scope="anonymous", key="k", hash="h")
    first = engine.workflows.start(a_start(), idempotency=key)
    worker = Played(engine)
    worker.reports(worker.takes(), CompleteWorkflow())

    assert engine.workflows.start(a_start(), idempotency=key) == first
    with pytest.raises(IdempotencyKeyReused):
        engine.workflows.start(a_start("other"), idempotency=Idempotency(scope="anonymous", key="k", hash="h2"))
    assert engine.workflows.start(a_start("mine"), idempotency=Idempotency(scope="me", key="k", hash="h"))

    clock.advance(86_400.0)
    assert engine.upkeep.prune() >= 2
    assert engine.workflows.start(a_start(), idempotency=key)["run_id"] != first["run_id"]


def test_a_refusal_is_not_kept_under_its_key(engine: Engine) -> None:
    key = Idempotency(scope="anonymous", key="k", hash="h")
    _, worker, task = given_a_running(engine)
    with pytest.raises(AlreadyStarted):
        engine.workflows.start(a_start(), idempotency=key)
    worker.reports(task, CompleteWorkflow())

    assert engine.workflows.start(a_start(), idempotency=key)["status"] == "PENDING"


def test_the_same_key_twice_in_a_batch_starts_one_run(engine: Engine) -> None:
    key = Idempotency(scope="anonymous", key="k", hash="h")

    first = engine.workflows.start_batch([a_start("a"), a_start("b")], idempotency=key)
    again = engine.workflows.start_batch([a_start("a"), a_start("b")], idempotency=key)

    assert first == again
    assert engine.namespaces.stats("main")["total_workflows"] == 2


def test_the_feed_hears_of_a_start_and_of_the_first_claim_only(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine)
    engine.workflows.signal(run, "go")
    worker.reports(worker.takes(), CompleteWorkflow())

    notices = rows(engine, "SELECT event_type, workflow_id, created_at FROM notices ORDER BY id")

    kinds = ["workflow_started", "workflow_running", "signal_received", "workflow_completed"]
    assert notices == [(kind, "w", T0) for kind in kinds]
    assert told(engine, run, "WorkflowCompleted") == [None]
