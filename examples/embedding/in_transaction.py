"""An order and its workflow in one transaction: both are there, or neither.

    python -m examples.embedding.in_transaction

The shop's tables and the engine's stand side by side in one file.
"""

from __future__ import annotations

from typing import Any

import peewee

from assay_wsgi import Engine

db = peewee.SqliteDatabase(None)  # the very file that the engine is on


class Order(peewee.Model):
    """What the shop keeps."""

    name = peewee.TextField(unique=True)

    class Meta:
        database = db
        table_name = "shop_orders"


def place_order(engine: Engine, name: str) -> dict[str, Any]:
    """Write an order and start the workflow that sees to it."""
    with engine.transaction(db) as flow:
        Order.create(name=name)
        return flow.start("FulfilOrder", f"order-{name}", input={"name": name})


def place_order_inside(engine: Engine, name: str) -> dict[str, Any]:
    """Do the same inside a transaction that has begun elsewhere in your program."""
    with db.atomic("IMMEDIATE"):
        Order.create(name=name)
        return engine.within(db).start("FulfilOrder", f"order-{name}", input={"name": name})


def main(path: str = "shop.db") -> list[str]:
    """Place an order twice; the second time neither the order nor a run is written."""
    db.init(path)
    engine = Engine.open(f"sqlite://{path}", upkeep=True)
    db.create_tables([Order])
    place_order(engine, "7")
    try:
        place_order(engine, "7")
    except peewee.IntegrityError:
        print("order 7 is there already: it was not started again")
    place_order_inside(engine, "8")
    orders = [f"{order.name}: {engine.workflows.describe(f'order-{order.name}')['status']}" for order in Order]
    engine.close()
    db.close()
    return orders


if __name__ == "__main__":
    print("\n".join(main()))
