"""The shop's back-end: stock, payments and labels, and the books that say what was done.

    python -m examples.checkout.backend [--port 8091] [--stock 1000] [--delay 0.05]

Each thing has an address of its own below its purchase, so a PUT that is repeated changes nothing. A DELETE gives
back what was done, and closes the address: a PUT that was under way and comes later is answered 410.
GET /books lists what happened, in order.
"""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections import Counter
from dataclasses import asdict
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask import request
from werkzeug.serving import make_server

LIMIT_CENTS = 1_000_000  # the bank declines more
WORDS = {"hold": ("held", "released"), "payment": ("charged", "refunded"), "labels": ("labelled", "recalled")}


@dataclass(frozen=True)
class Entry:
    """A line of the books."""

    at: float  # seconds since the epoch
    purchase: str
    order: str
    what: str
    n: int = 0  # of a label: which parcel; of a payment: cents


class Refused(Exception):
    """The back-end will not do it, however often it is asked."""

    def __init__(self, status: int, kind: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.kind = kind


class Books:
    """What was done for whom. Thread-safe."""

    def __init__(self, stock: int) -> None:
        self.entries: list[Entry] = []
        self._stock = stock
        self._held: Counter[str] = Counter()  # by sku
        self._done: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}  # (purchase, step) -> what was asked for
        self._closed: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def do(self, purchase: str, step: str, n: int, asked: dict[str, Any]) -> str:
        """Do a step for a purchase, once; return its name. Raises Refused."""
        with self._lock:
            if (purchase, step) in self._closed:
                raise Refused(410, "GivenBack", f"the {step} of {purchase} was given back")
            done = self._done.setdefault((purchase, step), {})
            if n not in done:
                self._check(step, asked)
                done[n] = asked
                self._held.update([asked["sku"]] if step == "hold" else ())
                amount = asked["cents"] if step == "payment" else n
                self.entries.append(Entry(time.time(), purchase, asked["order"], WORDS[step][0], amount))
            return f"label-{asked['order']}-{n}" if step == "labels" else f"{step}-{asked['order']}"

    def give_back(self, purchase: str, step: str) -> None:
        """Undo a step of a purchase, or see to it that it will never be done."""
        with self._lock:
            if (purchase, step) in self._closed:
                return
            self._closed.add((purchase, step))
            done = list(self._done.get((purchase, step), {}).values())
            if done:
                self._held.subtract(one["sku"] for one in done if step == "hold")
                amount = done[0].get("cents", 0)
                self.entries.append(Entry(time.time(), purchase, done[0]["order"], WORDS[step][1], amount))

    def _check(self, step: str, asked: dict[str, Any]) -> None:
        if step == "hold" and self._held[asked["sku"]] >= self._stock:
            raise Refused(409, "SoldOut", f"there is no {asked['sku']} left")
        if step == "payment" and asked["cents"] > LIMIT_CENTS:
            raise Refused(402, "Declined", "the bank declines: limit exceeded")
        if step == "labels" and not asked["address"]:
            raise Refused(422, "Undeliverable", "there is no address to send it to")


def create_app(books: Books, delay: float = 0.0) -> Flask:
    """Make the back-end. `delay`: seconds that everything takes."""
    app = Flask(__name__)

    @app.put("/purchases/<purchase>/<any(hold, payment):step>")
    @app.put("/purchases/<purchase>/<any(labels):step>/<int:n>")
    def do(purchase: str, step: str, n: int = 0) -> Any:
        time.sleep(delay)
        try:
            return {"id": books.do(purchase, step, n, request.get_json())}
        except Refused as refused:
            return {"error": str(refused), "type": refused.kind}, refused.status

    @app.delete("/purchases/<purchase>/<any(hold, payment, labels):step>")
    def give_back(purchase: str, step: str) -> Any:
        time.sleep(delay)
        books.give_back(purchase, step)
        return {}

    @app.get("/books")
    def list_entries() -> Any:
        return [asdict(entry) for entry in books.entries]

    return app


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="the back-end of a shop")
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--stock", type=int, default=1000, metavar="N", help="pieces of each sku")
    parser.add_argument("--delay", type=float, default=0.05, metavar="SECS", help="that each request takes")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request says nothing to anybody
    app = create_app(Books(options.stock), options.delay)
    server = make_server("127.0.0.1", options.port, app, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
