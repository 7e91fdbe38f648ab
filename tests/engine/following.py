"""How the stories of the feed read it.

On PostgreSQL the feed may lag behind what was just committed: any transaction that writes on the server, autovacuum's
too, holds it back. So who is sure that there is something waits for it.
"""

from __future__ import annotations

from typing import Any

import orjson

from assay_wsgi.domain.notices import Wanted
from assay_wsgi.engine import Engine
from tests.processes import until

Notice = dict[str, Any]


def read(engine: Engine, after: str | None = "oldest", *, count: int, **wanted: Any) -> list[Notice]:
    """Read on until there are so many notices."""
    found: list[Notice] = []

    def enough() -> bool:
        nonlocal after
        page = engine.feed.read(after, limit=count - len(found), wanted=Wanted(**wanted))
        assert page["reset"] is None
        found.extend(page["events"])
        after = page["cursor"]
        return len(found) == count

    until(enough)
    return found


def now(engine: Engine) -> str:
    """Give a cursor behind all that was committed."""
    with engine.store.read() as db:
        (newest,) = db.one("SELECT MAX(id) FROM notices")
    if newest is not None:
        until(lambda: any(int(each["id"].rpartition("-")[2]) == newest for each in kept(engine)))
    return str(engine.feed.read()["cursor"])


def kept(engine: Engine) -> list[Notice]:
    """Give all that the feed tells now."""
    found: list[Notice] = []
    page = {"cursor": "oldest", "more": True}
    while page["more"]:
        page = engine.feed.read(page["cursor"])
        found += page["events"]
    return found


def short(notices: list[Notice]) -> list[tuple[str, str]]:
    """Give the id and the type of each."""
    return [(notice["workflow_id"], notice["event_type"]) for notice in notices]


def payload(notice: Notice) -> Any:
    """Decode what it tells."""
    return orjson.loads(notice["payload"])
