"""What a type checker must take, and what it must know about results."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any
from typing import assert_type

from assay_wsgi.sdk import Call
from assay_wsgi.sdk import ChildHandle
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Handle
from assay_wsgi.sdk import Retry
from assay_wsgi.sdk import ScheduleRecord
from assay_wsgi.sdk import WorkflowCall
from assay_wsgi.sdk import WorkflowHandle
from tests.sdk.typed.shop import Buy
from tests.sdk.typed.shop import Order
from tests.sdk.typed.shop import Receipt
from tests.sdk.typed.shop import Tick
from tests.sdk.typed.shop import Transfer
from tests.sdk.typed.shop import app
from tests.sdk.typed.shop import charge
from tests.sdk.typed.shop import greet


def plain_calls(ctx: Context) -> None:
    assert_type(greet("x"), str)
    assert_type(charge("o", total=3), Receipt)
    assert_type(Tick(ctx), int)
    assert_type(Buy(ctx, Order("a")), Receipt)
    assert_type(Transfer(object(), source="a", amount=1), str)


def activities(ctx: Context) -> None:
    assert_type(ctx.execute_activity(greet, "x"), str)
    assert_type(ctx.execute_activity(charge, "o", total=3), Receipt)
    assert_type(ctx.start_activity(charge, "o"), Handle[Receipt])
    assert_type(charge.prepare("o", total=3), Call[Receipt])
    assert_type(ctx.execute_parallel([greet.prepare("a"), greet.prepare("b")]), list[str])
    assert_type(ctx.execute_activity(charge.options(timeout=timedelta(seconds=3), queue="q"), "o"), Receipt)
    assert_type(ctx.execute_activity(charge.options(retry={"max_attempts": 1, "initial": 2}), "o"), Receipt)
    assert_type(ctx.execute_activity(charge.options(retry=Retry(5), heartbeat_timeout=None), "o"), Receipt)
    assert_type(ctx.execute_activity("of-others", 1), Any)


def children(ctx: Context) -> None:
    assert_type(ctx.start_child(Tick), ChildHandle[int])
    assert_type(ctx.start_child(Buy, Order("a"), id="b-1", parent_close="abandon"), ChildHandle[Receipt])
    assert_type(ctx.execute_child(Transfer, "a", 2, run_timeout=timedelta(hours=1)), str)
    assert_type(ctx.execute_child(Transfer, "a", 2, "b", queue="q"), str)
    assert_type(ctx.execute_child(Transfer.prepare("a", amount=2), id="t"), str)
    assert_type(ctx.execute_child(Transfer.options(run_timeout=5), "a", 2), str)
    assert_type(ctx.execute_child("of-others", {"n": 1}, search_attributes={"env": "prod"}), Any)


def again(ctx: Context, which: int) -> None:
    if which == 1:
        ctx.continue_as_new(Order("b"), queue="q")
    if which == 2:
        ctx.continue_as_new(Buy.prepare(Order("b")), id="b-2")
    if which == 3:
        ctx.continue_as_new("a", 2, workflow=Transfer)
    ctx.continue_as_new(workflow="of-others")


def starts() -> None:
    client = app.client
    assert_type(client.start(Tick), WorkflowHandle[int])
    assert_type(client.start(Buy, Order("a"), id="o-1", id_conflict="use_existing").result(timeout=5), Receipt)
    assert_type(client.start(Transfer, "a", 2, search_attributes={"n": 1}, id_reuse="reject"), WorkflowHandle[str])
    assert_type(client.start(Transfer.prepare("a", note="n", amount=2), idempotency_key="k"), WorkflowHandle[str])
    assert_type(Transfer.prepare("a", 2), WorkflowCall[str])
    assert_type(client.execute(Buy, Order("a"), timeout=timedelta(minutes=1), queue="q"), Receipt)
    assert_type(client.execute(Buy.options(queue="q", execution_timeout=None), Order("a")), Receipt)
    assert_type(client.start("of-others", {"n": 1}, execution_timeout=60), WorkflowHandle[Any])
    assert_type(client.start("of-others", input={"n": 1}), WorkflowHandle[Any])
    assert_type(
        client.signal_with_start(Buy, Order("a"), id="o-1", signal="go", payload=1, queue="q"), WorkflowHandle[Receipt]
    )
    client.start_many(
        [
            {"workflow": Buy, "input": {"sku": "a"}, "id": "t-1"},
            {"workflow": Transfer.prepare("a", 2), "run_timeout": 3},
        ]
    )


def runs() -> None:
    client = app.client
    assert_type(client.handle("o-1", Buy).result(timedelta(seconds=3)), Receipt)
    assert_type(client.handle("o-1", run_id="r").result(), Any)
    assert_type(client.handle("o-1").query("receipt", Receipt), Receipt)
    assert_type(client.handle("o-1", Buy).continue_as_new(Order("b")), WorkflowHandle[Receipt])
    assert_type(client.handle("o-1").continue_as_new(Tick.prepare(), id="t"), WorkflowHandle[int])
    list(client.list(status="RUNNING", type="Buy", created_after=datetime(2026, 1, 1, tzinfo=UTC)))
    list(client.list(q="n = 1 ORDER BY n", limit=5))
    assert_type(client.count(q="n = 1"), int)
    assert_type(client.count("status", type="Buy"), dict[str | None, int])
    gone: list[int] = []
    with client:
        client.namespaces.delete("old", force=True, progress=gone.append)


def schedules() -> None:
    made = app.client.schedules.create("n", "@daily", Buy, Order("a"), timezone="Asia/Tokyo", overlap="buffer_one")
    assert_type(made, ScheduleRecord)
    assert_type(made["next_run_at"], float | None)
    app.client.schedules.create("n", "@daily", Buy.prepare(Order("a")), catchup_window=timedelta(hours=1))
    app.client.schedules.create("n", "@daily", "of-others", {"n": 1}, queue="q")
    app.client.schedules.ensure("n", "@daily", Tick)
    app.client.schedules.update("n", workflow=Transfer.prepare("a", amount=1), cron="@hourly")
    assert_type(app.client.schedules.trigger("n", overlap="allow_all")["run_id"], str | None)
    assert_type(app.client.schedules.backfill("n", 0, datetime.now(UTC))["left"], int)
    assert_type(app.client.schedules.next("n"), list[float])
    for record in app.client.schedules.list():
        assert_type(record["name"], str)
