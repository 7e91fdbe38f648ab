"""A commit whose answer was lost: the row of `units` tells what became of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from assay_wsgi.domain.errors import OutcomeUnknown
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.engine import Engine
from assay_wsgi.engine.operations import Start
from assay_wsgi.store import writer
from tests.conftest import Clock
from tests.engine.stories import Beside
from tests.engine.stories import a_start
from tests.engine.stories import given_a_run
from tests.engine.stories import history
from tests.races.driver import Sightings
from tests.races.driver import Watched
from tests.races.places import a_signal
from tests.races.places import engines
from tests.races.places import started
from tests.races.places import starts
from tests.races.places import units
from tests.races.places import until_somebody_waits_for_a_lock


class Line:
    """The line to a database, which breaks at the next commit as a test says."""

    def __init__(self) -> None:
        self.cut = False  # no new connection can be made
        self.at_commit: Callable[[OnLine], None] | None = None

    def wrap(self, raw: Any) -> Any:
        """Wrap a driver's connection: the `wrap` of Engine.open."""
        if self.cut:
            raw.close()
            raise lost(raw)
        return OnLine(raw, self)


class OnLine(Watched):
    """A connection over this line."""

    def __init__(self, raw: Any, line: Line) -> None:
        super().__init__(raw, Sightings())
        self.raw = raw
        self.line = line
        self.lingers = False  # the server does not learn that its client has gone

    def commit(self) -> None:
        """Commit, as the line allows."""
        breaks, self.line.at_commit = self.line.at_commit, None
        if breaks is None:
            self.raw.commit()
        else:
            breaks(self)

    def close(self) -> None:
        """Close, as far as this side knows."""
        if not self.lingers:
            self.raw.close()


def lost(raw: Any) -> Exception:
    """Give what the driver raises when its connection is gone."""
    kind = sqlite3.OperationalError if isinstance(raw, sqlite3.Connection) else psycopg.OperationalError
    return kind("disk I/O error" if kind is sqlite3.OperationalError else "server closed the connection")


def lost_after_the_commit(connection: OnLine) -> None:
    connection.raw.commit()
    lost_before_the_commit(connection)


def lost_before_the_commit(connection: OnLine) -> None:
    connection.raw.close()
    raise lost(connection.raw)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def online(backend: str, clock: Clock, line: Line) -> Iterator[Engine]:
    """An engine whose line to the database breaks when the test says so."""
    with engines(backend, 1, clock=clock, wrap=line.wrap) as (engine,):
        given_a_run(engine, "w")
        yield engine


@pytest.mark.parametrize("breaks", [lost_after_the_commit, lost_before_the_commit])
def test_of_a_commit_without_an_answer_the_row_of_units_tells_what_became_of_it(
    online: Engine, line: Line, breaks: Callable[[OnLine], None]
) -> None:
    before = units(online)
    line.at_commit = breaks

    outcomes = online.committer.submit([a_signal("w"), a_signal("w"), Start(a_start("x"), "x")])

    assert [outcome.error for outcome in outcomes] == [None, None, None]
    assert [outcomes[place].answer["event_seq"] for place in (0, 1)] == [2, 3]
    assert history(online, RunRef(workflow_id="w", namespace="main")) == ["WorkflowStarted", *["SignalReceived"] * 2]
    assert started(online) == ["w", "x"]
    assert units(online) == before + (1 if breaks is lost_after_the_commit else 2)


@pytest.mark.parametrize("breaks", [lost_after_the_commit, lost_before_the_commit])
def test_where_nobody_can_be_asked_the_outcome_is_unknown_and_nothing_runs_again(
    online: Engine, line: Line, monkeypatch: pytest.MonkeyPatch, breaks: Callable[[OnLine], None]
) -> None:
    monkeypatch.setattr(writer, "_SETTLE_SECS", 0.0)

    def breaks_for_good(connection: OnLine) -> None:
        line.cut = True
        breaks(connection)

    line.at_commit = breaks_for_good

    with pytest.raises(OutcomeUnknown):
        online.workflows.signal(RunRef(workflow_id="w", namespace="main"), "go")

    line.cut = False
    applied = [1] if breaks is lost_after_the_commit else []
    assert len(history(online, RunRef(workflow_id="w", namespace="main"))) == 1 + len(applied)
    assert starts(online, "x") == ["ok"]


@pytest.mark.parametrize("commits", [True, False])
def test_a_commit_that_is_still_under_way_is_waited_for(
    postgres_url: str, clock: Clock, line: Line, commits: bool
) -> None:
    with (
        engines(postgres_url, 1, clock=clock) as (onlooker,),
        engines(postgres_url, 1, clock=clock, wrap=line.wrap) as (engine,),
    ):
        run = given_a_run(engine, "w")
        lingering: list[OnLine] = []

        def lost_meanwhile(connection: OnLine) -> None:
            connection.lingers = True
            lingering.append(connection)
            raise lost(connection.raw)

        line.at_commit = lost_meanwhile
        signalled = Beside(lambda: engine.workflows.signal(run, "go"))
        until_somebody_waits_for_a_lock(onlooker)

        assert not signalled.over
        (connection,) = lingering
        connection.raw.commit() if commits else connection.raw.rollback()

        assert signalled.answer()["event_seq"] == 2
        assert history(onlooker, run) == ["WorkflowStarted", "SignalReceived"]
        connection.raw.close()
