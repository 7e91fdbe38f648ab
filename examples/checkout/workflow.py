"""A saga: an order is reserved, paid for and shipped, parcel by parcel, or all of it is given back, last thing first.

    python -m examples.checkout.backend                                 # stock, payments and labels, port 8091
    assay worker examples.checkout.workflow:app
    python -m examples.checkout.order lamp --parcels 3 --pickup 5       # shipped
    python -m examples.checkout.order piano --cents 2000000             # declined by the bank
    python -m examples.checkout.order sofa --address '' --pickup 1      # paid for, and cannot be delivered
    python -m examples.checkout.order vase --cancel-after 1             # cancelled before the parcel is picked up
    curl -s http://127.0.0.1:8091/books                                 # what was done and given back
CHECKOUT_BACKEND_URL says where the back-end is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import requests

from assay_wsgi.sdk import ApplicationError
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry

app = Assay(queue="orders")
patient = Retry(max_attempts=20, initial=0.2, backoff=1.5, max_interval=5.0)
stubborn = Retry(max_attempts=0, initial=0.2, backoff=1.5, max_interval=60.0)  # no end: what is owed stays owed


@dataclass
class Order:
    id: str
    sku: str
    cents: int
    parcels: int = 1
    address: str = "1 Main Street"
    pickup_secs: float = 60.0


@dataclass
class Receipt:
    order: str
    payment: str
    labels: list[str]


# The back-end knows a purchase by the run that makes it. An activity may be done twice (its worker died before
# it could say so), but it is the same run and the same step, and the back-end does it once.


@app.activity(retry=patient, timeout=30.0)
def reserve(purchase: str, order: Order) -> None:
    """Have a piece put aside."""
    ask("PUT", f"{purchase}/hold", {"order": order.id, "sku": order.sku})


@app.activity(retry=stubborn, timeout=30.0)
def release(purchase: str) -> None:
    """Put it back."""
    ask("DELETE", f"{purchase}/hold")


@app.activity(retry=patient, timeout=30.0)
def charge(purchase: str, order: Order) -> str:
    """Take the money."""
    return str(ask("PUT", f"{purchase}/payment", {"order": order.id, "cents": order.cents})["id"])


@app.activity(retry=stubborn, timeout=30.0)
def refund(purchase: str) -> None:
    """Give it back."""
    ask("DELETE", f"{purchase}/payment")


@app.activity(retry=patient, timeout=30.0)
def print_label(purchase: str, order: Order, n: int) -> str:
    """Print the label of a parcel."""
    return str(ask("PUT", f"{purchase}/labels/{n}", {"order": order.id, "address": order.address})["id"])


@app.activity(retry=stubborn, timeout=30.0)
def recall(purchase: str) -> None:
    """Have the labels of a purchase thrown away, and no more of them printed."""
    ask("DELETE", f"{purchase}/labels")


@app.workflow
def ShipParcel(ctx: Context, purchase: str, order: Order, n: int) -> str:
    """Wait until the parcel can be picked up, print its label."""
    ctx.sleep(order.pickup_secs)
    return ctx.execute_activity(print_label, purchase, order, n)


@app.workflow
def Checkout(ctx: Context, order: Order) -> Receipt:
    """Reserve, charge, ship. What ends the run early, an error or a cancellation, has all of it given back.

    Each step is deferred before it is asked for: it may have happened even where its answer was lost.
    """
    purchase = ctx.run_id
    with ctx.saga() as saga:
        saga.defer(release, purchase)
        ctx.execute_activity(reserve, purchase, order)
        saga.defer(refund, purchase)
        payment = ctx.execute_activity(charge, purchase, order)
        saga.defer(recall, purchase)
        parcels = [
            ctx.start_child(ShipParcel, purchase, order, n, id=f"{ctx.workflow_id}-parcel-{n}")
            for n in range(1, order.parcels + 1)
        ]
        return Receipt(order.id, payment, list(ctx.gather(*parcels)))


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Call the back-end. What it refuses is final; anything else is worth another attempt."""
    url = os.environ.get("CHECKOUT_BACKEND_URL", "http://127.0.0.1:8091")
    answer = requests.request(method, f"{url}/purchases/{path}", json=body, timeout=10)
    if 400 <= answer.status_code < 500:
        refusal = answer.json()
        raise ApplicationError(refusal["error"], type=refusal["type"], non_retryable=True)
    answer.raise_for_status()
    return dict(answer.json())
