"""Place an order and wait for what becomes of it.

    python -m examples.checkout.order SKU [--cents 4900] [--parcels 1] [--address TEXT] [--pickup 60] [--cancel-after 5]

With --cancel-after it is cancelled meanwhile. All times are seconds.
"""

from __future__ import annotations

import argparse
import time
import uuid

from assay_wsgi.sdk import WorkflowCancelledError
from assay_wsgi.sdk import WorkflowFailed
from examples.checkout.workflow import Checkout
from examples.checkout.workflow import Order
from examples.checkout.workflow import app


def main() -> None:
    """Place one order."""
    parser = argparse.ArgumentParser(description="place an order")
    parser.add_argument("sku")
    parser.add_argument("--cents", type=int, default=4900)
    parser.add_argument("--parcels", type=int, default=1)
    parser.add_argument("--address", default="1 Main Street")
    parser.add_argument("--pickup", type=float, default=60.0, metavar="SECS", help="until parcels are picked up")
    parser.add_argument("--cancel-after", type=float, default=None, metavar="SECS")
    asked = parser.parse_args()
    order = Order(
        f"{asked.sku}-{uuid.uuid4().hex[:6]}", asked.sku, asked.cents, asked.parcels, asked.address, asked.pickup
    )
    handle = app.client.start(Checkout, order, id=f"checkout-{order.id}")
    if asked.cancel_after is not None:
        time.sleep(asked.cancel_after)
        handle.cancel("the customer has changed their mind")
    try:
        receipt = handle.result(timeout=asked.pickup + 60)
        print(f"shipped: {', '.join(receipt.labels)}")
    except WorkflowFailed as failure:
        print(f"failed, and everything was given back: {failure.error}")
    except WorkflowCancelledError:
        print("cancelled, and everything was given back")


if __name__ == "__main__":
    main()
