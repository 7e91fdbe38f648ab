"""A read that takes too long is told as one to try again, whatever it was for."""

from __future__ import annotations

import pytest

from assay_wsgi.domain.errors import Unavailable
from assay_wsgi.store.store import Store

_WITHOUT_END = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"


def read_without_end(store: Store) -> None:
    with store.read() as db:
        if store.dialect.name == "postgres":
            db.run("SET statement_timeout = 20")
        else:
            store.dialect.bound(db, 0.02)
        db.one(_WITHOUT_END)


def test_a_read_that_is_stopped_is_unavailable_and_the_next_one_is_served(store: Store) -> None:
    with pytest.raises(Unavailable, match="too long"):
        read_without_end(store)

    with store.read() as db:
        assert db.one("SELECT 1") == (1,)
