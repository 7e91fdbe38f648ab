"""The checkouts of the demo: orders that are shipped, and some that are declined, undeliverable or cancelled."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from assay_wsgi.sdk import Client
from assay_wsgi.sdk import NotFound
from assay_wsgi.sdk import WorkflowHandle
from bench.databases import Reader
from examples.checkout.backend import LIMIT_CENTS
from examples.checkout.workflow import Checkout
from examples.checkout.workflow import Order

from . import books
from .runs import End

PICKUP_SECS = 4.0
# After the start: before the parcels are picked up, while the order is being charged, when labels are being printed.
CANCEL_SECS = (3.0, 0.6, 4.8, 5.0, 5.2)
DECLINED, UNDELIVERABLE, CANCELLED = 8, 9, 10  # every so many orders
ERRORS = {"declined": "Declined", "undeliverable": "Undeliverable"}


class Purchase:
    """One order on its way."""

    kind = "checkouts"

    def __init__(self, number: int) -> None:
        self.number = number
        self.wanted = "shipped"
        self.order = Order(
            f"order-{number:04d}", ("lamp", "sofa", "vase")[number % 3], 1000 + number, 1 + number % 3,
            pickup_secs=PICKUP_SECS,
        )  # fmt: skip
        self.workflow_id = f"checkout-{self.order.id}"
        self.follow_up_secs = CANCEL_SECS[number // CANCELLED % len(CANCEL_SECS)]
        self._too_late = False
        if number % DECLINED == 0:
            self.wanted, self.order.cents = "declined", LIMIT_CENTS + number
        elif number % UNDELIVERABLE == 0:
            self.wanted, self.order.address = "undeliverable", ""
        elif number % CANCELLED == 0:
            self.wanted = "cancelled"

    def start(self, client: Client) -> WorkflowHandle[Any]:
        """Place the order."""
        return client.start(Checkout, self.order, id=self.workflow_id)

    def follow_up(self, client: Client) -> None:
        """Cancel it, if the customer does."""
        if self.wanted == "cancelled":
            try:
                client.handle(self.workflow_id).cancel("the customer has changed their mind")
            except NotFound:  # it is closed
                self._too_late = True

    def judge(self, end: End) -> tuple[str, str | None]:
        """Say whether it ended as it must. One that is cancelled may have been shipped before."""
        word = self.wanted
        if word == "cancelled" and (self._too_late or end.status == "COMPLETED"):
            word = "shipped"
        if word == "shipped":
            labels = [f"label-{self.order.id}-{n}" for n in range(1, self.order.parcels + 1)]
            right = end.status == "COMPLETED" and end.result["labels"] == labels
        elif word == "cancelled":
            right = end.status == "CANCELLED"
        else:
            right = end.status == "FAILED" and ERRORS[word] in (end.error or "")
        return word, None if right else f"is {end.status} with {end.result or end.error}, expected {word}"


def checkouts(total: int) -> list[Purchase]:
    """Make some orders."""
    return [Purchase(number) for number in range(1, total + 1)]


class Audit(NamedTuple):
    """What the shop's books say, laid beside the runs."""

    orders: int
    done: Counter[str]  # what was done and given back, how often
    faults: Sequence[str]


def audit(reader: Reader, entries: Sequence[Mapping[str, Any]]) -> Audit:
    """Hold the books against all checkouts of the database."""
    bought = books.read(entries)
    faults = []
    paid: Counter[str] = Counter()  # by order
    runs = reader.rows("SELECT run_id, status, input FROM workflows WHERE workflow_type = 'Checkout'")
    for run_id, status, text in runs:
        order = json.loads(text)
        lines = bought.pop(run_id, [])
        shipped = status == "COMPLETED"
        paid[order["id"]] += sum((line.what == "charged") - (line.what == "refunded") for line in lines)
        wrong = books.faults(lines, shipped, order["parcels"], order["pickup_secs"])
        faults += [f"books of {order['id']}, {status}: {fault}" for fault in wrong]
    faults += [f"the books know {purchase}, and nobody else does" for purchase in bought]
    faults += [f"{order} is paid for {times} times" for order, times in paid.items() if times > 1]
    return Audit(len(runs), Counter(entry["what"] for entry in entries), faults)
