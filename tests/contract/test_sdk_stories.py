"""Programs as people write them, against the service as it runs: an order is undone, a deploy is approved."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from assay_wsgi.sdk import ApplicationError
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry
from assay_wsgi.sdk import WorkflowCancelledError
from assay_wsgi.sdk import WorkflowFailed
from assay_wsgi.sdk import cancelled
from tests.contract.service import Service
from tests.contract.test_sdk_at_work import at
from tests.contract.test_sdk_at_work import history
from tests.processes import PATIENCE_SECS
from tests.processes import until

app = Assay(queue="sdk-at-work")
undone: defaultdict[str, list[str]] = defaultdict(list)  # by order, in this process
pause = threading.Event()  # that nobody sets


@dataclass
class Order:
    id: str
    total: int
    parcels: int


@app.activity
def reserve(order_id: str) -> str:
    return f"hold-{order_id}"


@app.activity
def release(order_id: str, hold: str) -> None:
    undone[order_id].append(hold)


@app.activity
def charge(order_id: str, total: int) -> str:
    if total > 10_000:
        raise ApplicationError("limit exceeded", type="Declined", non_retryable=True)
    return f"pay-{order_id}"


@app.activity
def refund(order_id: str, payment: str) -> None:
    undone[order_id].append(payment)


@app.activity(retry=Retry(max_attempts=1))
def print_label(n: int) -> str:
    if n == 3:
        raise ApplicationError("the printer is out of paper")
    return f"label-{n}"


@app.workflow
def ShipParcel(ctx: Context, n: int) -> str:
    return ctx.execute_activity(print_label, n)


@app.workflow
def Checkout(ctx: Context, order: Order) -> list[str]:
    with ctx.saga() as saga:
        hold = ctx.execute_activity(reserve, order.id)
        saga.defer(release, order.id, hold)
        payment = ctx.execute_activity(charge, order.id, order.total)
        saga.defer(refund, order.id, payment)
        return list(ctx.gather(*[ctx.start_child(ShipParcel, n) for n in range(order.parcels)]))


@dataclass
class Approval:
    by: str
    ok: bool = True


@app.activity
def build(ref: str) -> str:
    return f"images.example.com/app:{ref}"


@app.activity
def roll_out(image: str, approver: str) -> str:
    return f"{image} by {approver}"


@app.workflow
def ApproveAndDeploy(ctx: Context, ref: str) -> str:
    steps = ctx.steps("Build", "Approval", "Deploy")
    with steps.step("Build"):
        image = ctx.execute_activity(build, ref)
    with steps.step("Approval", actions=["approve", "reject"]):
        ok = ctx.wait_for_signal("approve", Approval, timeout=timedelta(hours=24))
        if ok is None or not ok.ok:
            ctx.cancel("not approved in 24 h" if ok is None else f"rejected by {ok.by}")
    with steps.step("Deploy"):
        return ctx.execute_activity(roll_out, image=image, approver=ok.by)


@app.workflow
def Ask(ctx: Context, timeout: float) -> Any:
    steps = ctx.steps("Approval", "Deploy")
    answer = steps.await_action("Approval", ["approve"], timeout=timeout)
    if answer is not None:
        with steps.step("Deploy"):
            return answer
    return "nobody came"


@app.workflow
def Collect(ctx: Context, wanted: int, timeout: float) -> Any:
    items: list[Any] = []

    def all_there() -> bool:
        items.extend(ctx.signals("item"))
        return len(items) >= wanted

    return [ctx.wait_condition(all_there, timeout=timeout), items]


# --------------------------------------------------------------------------- a worker's resources

importer = Assay(queue="sdk-at-work")
connections: list[str] = []  # that are open
imported: list[bool] = []  # whether there was a connection at the end of each import


@importer.lifespan
def database() -> Iterator[None]:
    connections.append("open")
    yield
    connections.clear()


@importer.activity(auto_heartbeat=True, heartbeat_timeout=1)
def import_rows() -> None:
    while not cancelled():
        pause.wait(0.02)
    imported.append(connections == ["open"])


@importer.workflow
def Import(ctx: Context, seconds: float) -> str:
    rows = ctx.start_activity(import_rows)
    if ctx.wait_any(rows, timeout=seconds) is None:
        rows.cancel()
        return "given up"
    return "done"


@pytest.fixture
def work(attended: Service) -> Iterator[Assay]:
    place = at(attended, app)
    worker = place.worker()
    worker.start()
    yield place
    worker.stop(grace=5)


def statuses(handle: Any) -> list[str]:
    return [step["status"] for step in handle.state("pipeline_state")["steps"]]


def test_an_order_that_cannot_be_paid_for_gives_back_what_it_held(work: Assay) -> None:
    order = Order(work.namespace, 20_000, 2)

    with pytest.raises(WorkflowFailed, match="Declined: limit exceeded"):
        work.client.start(Checkout, order).result(timeout=PATIENCE_SECS)

    assert undone[order.id] == [f"hold-{order.id}"]


def test_an_order_of_which_a_parcel_fails_is_undone_from_the_end(work: Assay) -> None:
    order = Order(work.namespace, 100, 5)

    with pytest.raises(WorkflowFailed, match="out of paper"):
        work.client.start(Checkout, order).result(timeout=PATIENCE_SECS)

    assert undone[order.id] == [f"pay-{order.id}", f"hold-{order.id}"]


def test_a_deploy_is_approved_by_button(work: Assay) -> None:
    handle = work.client.start(ApproveAndDeploy, "1a2b")
    until(lambda: handle.describe()["waiting_for"] and statuses(handle) == ["done", "running", "waiting"])
    (approval,) = [step for step in handle.state("pipeline_state")["steps"] if step["name"] == "Approval"]

    handle.signal("step_action", {"step": "Approval", "action": "approve", "user": "ada"})

    assert handle.result(timeout=PATIENCE_SECS) == "images.example.com/app:1a2b by ada"
    assert approval["actions"] == ["approve", "reject"]
    assert approval["expires_at"] - approval["started_at"] == 24 * 3600
    assert statuses(handle) == ["done", "done", "done"]


def test_a_deploy_is_rejected_by_button(work: Assay) -> None:
    handle = work.client.start(ApproveAndDeploy, "1a2b")
    handle.signal("step_action", {"step": "Approval", "action": "reject", "user": "ada"})

    with pytest.raises(WorkflowCancelledError):
        handle.result(timeout=PATIENCE_SECS)

    assert statuses(handle) == ["done", "cancelled", "skipped"]


def test_an_approval_that_nobody_gives_is_over_in_time(work: Assay) -> None:
    handle = work.client.start(Ask, 0.05)

    assert handle.result(timeout=PATIENCE_SECS) == "nobody came"
    assert statuses(handle) == ["failed", "skipped"]


def test_a_run_waits_until_its_condition_holds_and_says_so(work: Assay) -> None:
    handle = work.client.start(Collect.prepare(wanted=3, timeout=3600.0))
    until(lambda: handle.describe()["waiting_for"])
    assert [one["kind"] for one in handle.describe()["waiting_for"]] == ["timer", "condition"]
    assert handle.describe()["waiting_for"][1]["name"] == "all_there"

    for n in range(3):
        handle.signal("item", n)

    assert handle.result(timeout=PATIENCE_SECS) == [True, [0, 1, 2]]


def test_a_condition_that_does_not_come_to_hold_is_given_up_in_time(work: Assay) -> None:
    handle = work.client.start(Collect.prepare(wanted=3, timeout=0.05))

    assert handle.result(timeout=PATIENCE_SECS) == [False, []]


def test_a_long_import_that_is_given_up_hears_of_it_and_its_connection_outlasts_it(attended: Service) -> None:
    place = at(attended, importer)
    place.include(importer)
    imported.clear()

    with place.worker(grace=PATIENCE_SECS):
        assert connections == ["open"]
        # Longer than the heartbeat timeout: without the worker's beats the attempt would be taken back before.
        run = place.client.start(Import, 1.5, id="import")
        assert run.result(timeout=PATIENCE_SECS) == "given up"

    assert imported == [True]
    assert connections == []
    assert history(attended, place, "import", "Activity") == ["ActivityScheduled", "ActivityCancelled"]
