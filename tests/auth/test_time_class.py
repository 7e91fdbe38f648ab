"""What is foreign costs what is missing costs: nobody learns by the time that it takes what there is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from assay_wsgi.app import create_app
from assay_wsgi.engine import Engine
from tests.auth.scenes import KEYED
from tests.auth.scenes import Play
from tests.auth.scenes import key
from tests.auth.scenes import nothing
from tests.auth.scenes import plays
from tests.auth.scenes import set_up
from tests.auth.test_matrix import is_elsewhere
from tests.engine.stories import without_a_watcher
from tests.store.heard import Heard

if TYPE_CHECKING:
    from tests.conftest import Clock


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def engine(backend: str, clock: Clock, heard: Heard) -> Iterator[Engine]:
    """An engine whose driver is listened to, with no thread that asks on its own."""
    opened = without_a_watcher(Engine.open(backend, clock=clock, wrap=heard.wrap))
    opened._wakeups._at_each_look = lambda: None
    yield opened
    opened.close()


def test_a_foreign_thing_takes_the_statements_that_a_missing_one_takes(engine: Engine, heard: Heard) -> None:
    app = create_app(KEYED, engine)
    client = app.test_client()
    key(engine, "admin")
    foreign = set_up(engine, "theirs")
    mine = key(engine, "admin", "worker", namespaces=("ours", "hall"))

    def statements(play: Play) -> list[str]:
        engine.committer.submit(())  # what waits to be written is of no request
        heard.clear()
        play.send(client, mine)
        of_others = ("key_blocks", "WHERE key_hash =")  # new keys, and the look at who calls: now and then
        return [said.sql[:60] for said in heard.statements if not any(words in said.sql for words in of_others)]

    told = [
        (str(play), statements(play), statements(twin))
        for play, twin in zip(plays(app, foreign), plays(app, nothing("nowhere")), strict=True)
        if is_elsewhere(play)
    ]

    assert [one for one in told if one[1] != one[2]] == []
    assert len(told) > 50
