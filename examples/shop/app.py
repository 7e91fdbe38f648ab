"""A Flask shop on the service's database: an order and its Checkout are committed together, or neither is.

    assay serve --backend sqlite://shop.db
    python -m examples.checkout.backend
    assay worker examples.checkout.workflow:app
    python -m flask --app examples.shop.app:make_app run --port 5000
    curl -s http://127.0.0.1:5000/orders -d id=7 -d sku=lamp -d cents=4900 -d pickup_secs=5
    curl -s http://127.0.0.1:5000/orders/7                  # how far its run has come
    curl -s -X POST http://127.0.0.1:5000/orders/7/cancel
SHOP_DATABASE names another database.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import peewee
from flask import Flask
from flask import request

from assay_wsgi import AlreadyStarted
from assay_wsgi import AssayError
from assay_wsgi import Engine
from assay_wsgi import RunRef
from examples.checkout.workflow import Order
from examples.checkout.workflow import app as checkout

db = peewee.DatabaseProxy()
STATUS = {"COMPLETED": "shipped", "FAILED": "failed, all was given back", "CANCELLED": "cancelled, all was given back"}


class ShopOrder(peewee.Model):
    """What the shop itself keeps of an order. How far it has come, its run knows."""

    id = peewee.TextField(primary_key=True)
    sku = peewee.TextField()
    cents = peewee.IntegerField()
    run_id = peewee.TextField()

    class Meta:
        database = db
        table_name = "shop_orders"

    @property
    def run(self) -> RunRef:
        """The run that sees to it."""
        return RunRef(workflow_id=f"checkout-{self.id}", run_id=self.run_id)


def make_app(url: str | None = None) -> Flask:
    """Make the shop. Call it where it will serve: an engine is opened after a fork, never before."""
    url = url or os.environ.get("SHOP_DATABASE", "sqlite://shop.db")
    engine = Engine.open(url)  # no upkeep: the service sees to that
    db.initialize(database(url))
    db.create_tables([ShopOrder])
    app = Flask("shop")

    @app.post("/orders")
    def place() -> Any:
        asked = request.form
        order = Order(asked["id"], asked["sku"], int(asked["cents"]), pickup_secs=float(asked.get("pickup_secs", 60)))
        try:
            with engine.transaction(db) as flow:
                run = flow.start("Checkout", f"checkout-{order.id}", task_queue=checkout.queue, input=asdict(order))
                ShopOrder.create(id=order.id, sku=order.sku, cents=order.cents, run_id=run["run_id"])
        except (peewee.IntegrityError, AlreadyStarted):
            return {"error": f"there is an order {order.id} already"}, 409
        return {"id": order.id, "status": "placed"}, 201

    @app.get("/orders/<id>")
    def show(id: str) -> Any:
        order = ShopOrder.get_by_id(id)
        run = engine.workflows.describe(order.run)
        shown = {"id": id, "sku": order.sku, "cents": order.cents}
        return {**shown, "status": STATUS.get(run["status"], "on its way"), "error": run["error"]}

    @app.post("/orders/<id>/cancel")
    def cancel(id: str) -> Any:
        try:
            engine.workflows.cancel(ShopOrder.get_by_id(id).run, "the customer has changed their mind")
        except AssayError as refused:
            return {"error": f"order {id} cannot be cancelled: {refused}"}, 409
        return {"id": id, "status": "will be cancelled"}, 202

    @app.errorhandler(peewee.DoesNotExist)
    def unknown(_: Exception) -> Any:
        return {"error": "there is no such order"}, 404

    @app.teardown_request
    def let_go(_: BaseException | None) -> None:
        if not db.is_closed():
            db.close()

    return app


def database(url: str) -> peewee.Database:
    """Connect the shop to the database that the engine is on."""
    if url.startswith("sqlite://"):
        return peewee.SqliteDatabase(url.removeprefix("sqlite://"))
    return peewee.PostgresqlDatabase(url, prefer_psycopg3=True)
