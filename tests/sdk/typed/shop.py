"""The definitions that the other programs of this folder use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry

app = Assay()


@dataclass
class Order:
    sku: str


@dataclass
class Receipt:
    total: int


@app.activity
def greet(who: str) -> str:
    return f"hello, {who}"


@app.activity(name="charge-card", retry=Retry(initial=timedelta(seconds=1)), timeout=timedelta(minutes=5))
def charge(order_id: str, total: int = 1) -> Receipt:
    return Receipt(total)


@app.workflow
def Tick(ctx: Context) -> int:
    return 1


@app.workflow
def Buy(ctx: Context, order: Order) -> Receipt:
    return ctx.execute_activity(charge, order.sku, total=2)


@app.workflow(name="transfer", queue="money", run_timeout=60, execution_timeout=timedelta(days=1))
def Transfer(ctx: Context, source: str, amount: float, note: str = "") -> str:
    return note
