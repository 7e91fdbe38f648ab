"""The feed: what happens to runs is told to everybody who follows, in order, without a hole or a repeat."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.notices import ALWAYS
from assay_wsgi.domain.notices import LONGEST_ERROR
from assay_wsgi.domain.notices import NOTICES
from assay_wsgi.domain.notices import Cursor
from assay_wsgi.domain.notices import CursorLost
from assay_wsgi.domain.notices import Wanted
from assay_wsgi.engine import Engine
from assay_wsgi.engine import feed
from assay_wsgi.settings import EngineSettings
from tests.engine.following import kept
from tests.engine.following import now
from tests.engine.following import payload
from tests.engine.following import read
from tests.engine.following import short
from tests.engine.hosts import Shop
from tests.engine.stories import T0
from tests.engine.stories import Beside
from tests.engine.stories import Played
from tests.engine.stories import a_start
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import put
from tests.engine.stories import rows
from tests.engine.stories import without_a_watcher
from tests.processes import PATIENCE_SECS
from tests.processes import until

if TYPE_CHECKING:
    from tests.conftest import Clock

LONG = 120.0


@pytest.fixture
def other(backend: str, clock: Clock) -> Iterator[Engine]:
    """An engine of another process, as far as it can be told, on the same database."""
    opened = Engine.open(backend, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def in_memory() -> Iterator[Engine]:
    """An engine for what is refused before any database is asked."""
    opened = Engine.open("sqlite://:memory:")
    yield opened
    opened.close()


@pytest.fixture
def by_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks for notices without a hint."""
    monkeypatch.setattr(feed, "LOOK_EVERY_SECS", PATIENCE_SECS)


def waits(engine: Engine, **what: Any) -> Beside:
    """Have somebody wait for what comes now."""
    before, followers = engine.feed.read()["cursor"], engine.feed.followers
    waiting = Beside(lambda: engine.feed.read(before, wait_secs=LONG, **what))
    until(lambda: engine.feed.followers > followers)
    return waiting


# --------------------------------------------------------------------------------------------------- reading


def test_what_happens_to_a_run_is_told_in_order(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine)
    clock.advance(2.5)
    engine.workflows.signal(run, "go", "1")
    worker.reports(worker.takes(), CompleteWorkflow(result="7"))

    told = read(engine, count=4)

    assert short(told) == [
        ("w", "workflow_started"), ("w", "workflow_running"), ("w", "signal_received"), ("w", "workflow_completed"),
    ]  # fmt: skip
    assert payload(told[0]) == {"workflow_type": "Order", "namespace": "main", "run_id": run.run_id, "at": T0}
    assert payload(told[2]) == {"signal": "go", "namespace": "main", "run_id": run.run_id, "at": T0 + 2.5}


def test_every_type_of_notice_is_told_with_every_member_that_it_has(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine)
    engine.workflows.signal(run, "go")
    worker.reports(worker.takes(), CompleteWorkflow())
    for command in (FailWorkflow(error="x" * 5000), ContinueAsNew()):
        given_a_run(engine, "a")
        worker.reports(worker.takes(), command)
    engine.workflows.cancel(given_a_run(engine, "b"), reason="enough")
    engine.workflows.terminate(given_a_run(engine, "c"), reason="no")
    given_a_run(engine, "d", run_timeout_secs=1.0)
    clock.advance(1.0)
    engine.upkeep.expire()
    engine.schedules.create("nightly", "Order", "@daily")
    engine.schedules.trigger("nightly")
    now(engine)

    told = kept(engine)

    shown: dict[str, set[str]] = {}
    for notice in told:
        shown.setdefault(notice["event_type"], set()).update(payload(notice).keys() - ALWAYS.keys())
    assert shown == {name: set(notice.members) for name, notice in NOTICES.items()}
    (failed,) = [payload(notice) for notice in told if notice["event_type"] == "workflow_failed"]
    assert failed["error"] == "x" * LONGEST_ERROR


def test_reading_goes_on_behind_the_cursor(engine: Engine) -> None:
    engine.workflows.start_batch([a_start(f"w{number}") for number in range(5)])
    now(engine)

    first = engine.feed.read("oldest", limit=2)
    second = engine.feed.read(first["cursor"], limit=2)
    third = engine.feed.read(second["events"][-1]["id"], limit=2)

    assert [short(page["events"])[0][0] for page in (first, second, third)] == ["w0", "w2", "w4"]
    assert [page["more"] for page in (first, second, third)] == [True, True, False]
    assert engine.feed.read(third["cursor"]) == {
        "events": [], "cursor": third["cursor"], "reset": None, "more": False,
    }  # fmt: skip


def test_who_begins_now_is_told_nothing_of_before(engine: Engine) -> None:
    given_a_run(engine, "before")
    cursor = now(engine)
    given_a_run(engine, "after")

    assert short(read(engine, cursor, count=1)) == [("after", "workflow_started")]


@pytest.mark.parametrize(
    ("wanted", "whose"),
    [
        ({"namespace": "shop"}, ["b"]),
        ({"workflow_id": "a"}, ["a"]),
        ({"types": ["workflow_terminated"]}, ["c"]),
        ({"namespace": frozenset({"shop", "other"})}, ["b"]),
        ({"namespace": frozenset()}, []),
        ({"namespace": "main", "types": ["workflow_started", "workflow_failed"]}, ["a", "c"]),
    ],
)
def test_only_what_is_wanted_and_may_be_seen_is_told(engine: Engine, wanted: dict[str, Any], whose: list[str]) -> None:
    given_a_run(engine, "a")
    given_a_run(engine, "b", namespace="shop")
    engine.workflows.terminate(given_a_run(engine, "c"))
    end = now(engine)

    page = engine.feed.read("oldest", wanted=Wanted(**wanted))

    assert [workflow_id for workflow_id, _ in short(page["events"])] == whose
    assert page["cursor"] == end  # what was passed over is behind the reader, too


def test_a_reader_of_little_passes_over_much_piece_by_piece(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "PIECE", 3)
    engine.workflows.start_batch([a_start(f"w{number}") for number in range(7)])
    end = now(engine)

    pages, cursor = [], "oldest"
    while not pages or pages[-1]["more"]:
        pages.append(engine.feed.read(cursor, wanted=Wanted(workflow_id="w6")))
        cursor = pages[-1]["cursor"]

    assert [short(page["events"]) for page in pages] == [[], [], [("w6", "workflow_started")]]
    assert cursor == end


# --------------------------------------------------------------------------------------------------- waiting


@pytest.mark.usefixtures("by_hints")
def test_who_waits_is_woken_by_what_happens_here_or_in_another_process(engine: Engine, other: Engine) -> None:
    for happens_in in (engine, other):
        waiting = waits(engine)

        given_a_run(happens_in, "w" if happens_in is engine else "v")

        assert len(waiting.answer()["events"]) == 1


@pytest.mark.usefixtures("by_hints")
def test_a_hint_kept_back_among_many_delays_nothing(engine: Engine, other: Engine) -> None:
    waiting = waits(engine, wanted=Wanted(workflow_id="w9"))

    for number in range(10):
        given_a_run(other, f"w{number}")

    assert short(waiting.answer()["events"]) == [("w9", "workflow_started")]


def test_what_a_host_has_committed_is_found_without_a_hint(engine: Engine, backend: str) -> None:
    shop = Shop(backend)
    waiting = waits(engine)

    with engine.transaction(shop.db) as flow:
        flow.start(a_start())

    assert short(waiting.answer()["events"]) == [("w", "workflow_started")]
    shop.close()


def test_a_wait_ends_when_its_time_is_up(engine: Engine) -> None:
    given_a_run(engine)
    cursor = now(engine)

    assert engine.feed.read(cursor, wait_secs=0.01)["events"] == []


@pytest.mark.usefixtures("by_hints")
def test_who_waits_is_answered_when_the_process_is_about_to_end(engine: Engine) -> None:
    waiting = waits(engine)

    engine.drain()

    assert waiting.answer()["events"] == []


def test_nobody_waits_for_a_client_that_has_gone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LOOK_EVERY_SECS", 0.01)
    gone = threading.Event()
    waiting = waits(engine, client_gone=gone.is_set)

    gone.set()

    assert waiting.answer()["events"] == []


def test_nobody_holds_a_connection_while_it_waits(backend: str) -> None:
    engine = Engine.open(backend, settings=EngineSettings(read_connections=1))
    waiting = [waits(engine) for _ in range(3)]

    given_a_run(engine)

    assert [len(each.answer()["events"]) for each in waiting] == [1, 1, 1]
    engine.close()


def test_the_feed_is_read_only_while_somebody_follows(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LINGER_SECS", 0.0)

    def tails() -> int:
        return sum(thread.name == "assay-feed" for thread in threading.enumerate())

    engine.feed.read("oldest")
    assert tails() == 0
    waiting = [waits(engine) for _ in range(2)]
    assert tails() == 1

    given_a_run(engine)

    assert [len(each.answer()["events"]) for each in waiting] == [1, 1]
    until(lambda: tails() == 0)
    waiting = [waits(engine)]  # and again
    given_a_run(engine, "v")
    assert short(waiting[0].answer()["events"]) == [("v", "workflow_started")]


# ------------------------------------------------------------------------------------------------- following


def test_a_follower_of_the_running_feed_misses_nothing_however_slow_it_is(
    engine: Engine, other: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It falls out of what is kept in memory, reads from the database, and comes back."""
    monkeypatch.setattr(feed, "PIECE", 3)
    monkeypatch.setattr(feed, "KEPT", 6)
    swift, slow = engine.feed.follow(now(engine)), engine.feed.follow(now(engine))

    seen: dict[str, list[str]] = {"swift": [], "slow": []}
    for turn in range(10):
        for number in range(4):
            given_a_run(engine if number % 2 else other, f"w{turn}-{number}")
            seen["swift"].append(next(swift)["workflow_id"])
        seen["slow"].append(next(slow)["workflow_id"])
    seen["slow"] += [next(slow)["workflow_id"] for _ in range(30)]

    everything = [f"w{turn}-{number}" for turn in range(10) for number in range(4)]
    assert seen == {"swift": everything, "slow": everything}
    swift.close()
    slow.close()


def test_following_ends_with_the_engine(engine: Engine) -> None:
    following = Beside(lambda: list(engine.feed.follow()))
    until(lambda: engine.feed.followers)

    engine.drain()

    assert following.answer() == []


def test_an_engine_closes_under_a_follower_that_was_left_lying(backend: str) -> None:
    engine = Engine.open(backend)
    given_a_run(engine)
    following = engine.feed.follow("oldest")
    next(following)

    engine.close()

    assert list(following) == []


# ----------------------------------------------------------------------------------- what cannot be gone on from


def test_a_cursor_older_than_what_is_kept_is_told_so(engine: Engine, clock: Clock) -> None:
    given_a_run(engine, "w0")
    given_a_run(engine, "w1")
    first, last = (notice["id"] for notice in read(engine, count=2))
    clock.advance(3 * 86400.0)
    given_a_run(engine, "w2")
    now(engine)

    assert engine.upkeep.prune() >= 2

    assert engine.feed.read(first) == {"events": [], "cursor": now(engine), "reset": "pruned", "more": False}
    assert short(engine.feed.read(last)["events"]) == [("w2", "workflow_started")]  # nothing behind it was removed
    assert short(engine.feed.read("oldest")["events"]) == [("w2", "workflow_started")]


def test_a_feed_of_which_nothing_is_left_still_knows_what_it_had(engine: Engine, clock: Clock) -> None:
    given_a_run(engine, "w0")
    given_a_run(engine, "w1")
    first, last = (notice["id"] for notice in read(engine, count=2))
    clock.advance(3 * 86400.0)
    engine.upkeep.prune()

    assert engine.feed.read(first)["reset"] == "pruned"
    assert engine.feed.read(last)["reset"] is None
    assert engine.feed.read()["cursor"] == last


def test_a_cursor_of_another_database_is_told_so(engine: Engine) -> None:
    given_a_run(engine)
    epoch, _, rest = now(engine).partition("-")

    assert engine.feed.read(f"{epoch[::-1]}-{rest}")["reset"] == "another_database"


def test_a_cursor_ahead_of_the_database_is_told_so(engine: Engine) -> None:
    given_a_run(engine)
    epoch = now(engine).partition("-")[0]

    assert engine.feed.read(f"{epoch}-{2**62}-{2**62}")["reset"] == "set_back"


def test_who_follows_is_told_of_a_cursor_that_is_lost(engine: Engine) -> None:
    with pytest.raises(CursorLost, match="look at the runs anew") as lost:
        next(engine.feed.follow("0" * 16 + "-1-1"))

    assert lost.value.reason == "another_database"


def test_followers_hear_of_it_when_the_database_is_set_back_under_them(engine: Engine) -> None:
    given_a_run(engine, "w0")
    following = engine.feed.follow("oldest")
    next(following)

    put(engine, "UPDATE meta SET value = ? WHERE name = 'epoch'", "a" * 16)
    given_a_run(engine, "w1")

    with pytest.raises(CursorLost):
        next(following)


def test_the_reading_outlives_a_database_that_is_away(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LOOK_EVERY_SECS", 0.01)
    cursor, waiting, looked = Cursor.read(now(engine)), waits(engine), threading.Event()
    until(lambda: engine.feed._tail.after(cursor) is not None)  # from here on, who waits asks no database

    def away(*_: Any) -> Any:
        looked.set()
        raise ConnectionError("away")

    with monkeypatch.context() as patched:
        patched.setattr(feed.feed, "page", away)
        given_a_run(engine)
        looked.wait(PATIENCE_SECS)

    assert short(waiting.answer()["events"]) == [("w", "workflow_started")]


@pytest.mark.parametrize(
    "cursor", ["", "x", "1", "a-1", "a-1-x", "a-1-1-1", "g-1-1", "a--1-1", f"a-{2**63}-1", "a-1-" + "1" * 20, 7, b"a"]
)
def test_what_is_no_cursor_is_refused(in_memory: Engine, cursor: Any) -> None:
    with pytest.raises(Invalid, match="no cursor of the feed") as refusal:
        in_memory.feed.read(cursor)

    assert refusal.value.code == "invalid_cursor"


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"limit": 0}, "limit must be"),
        ({"limit": True}, "limit must be"),
        ({"wait_secs": -1.0}, "wait_secs must be"),
        ({"wait_secs": float("nan")}, "wait_secs must be"),
        ({"wanted": Wanted(types=["workflow_begun"])}, "no type 'workflow_begun'"),
        ({"wanted": Wanted(types="workflow_started")}, "types must be a list"),
        ({"wanted": Wanted(namespace="")}, "namespace must be a text"),
        ({"wanted": Wanted(workflow_id=7)}, "workflow_id must be a text"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_wanted_is_refused(in_memory: Engine, what: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        in_memory.feed.read("oldest", **what)


# ------------------------------------------------------------------------------- PostgreSQL: transactions under way


def test_what_commits_late_is_told_before_what_began_later(postgres_url: str) -> None:
    """By ids alone, a reader that has seen `later` would never look for `early` again."""
    engine, shop = Engine.open(postgres_url), Shop(postgres_url)
    cursor = now(engine)

    with engine.transaction(shop.db) as flow:
        flow.start(a_start("early"))
        given_a_run(engine, "later")
        assert engine.feed.read(cursor)["events"] == []

    assert short(read(engine, cursor, count=2)) == [("early", "workflow_started"), ("later", "workflow_started")]
    shop.close()
    engine.close()


@pytest.mark.usefixtures("by_hints")
def test_what_was_held_back_is_found_though_no_hint_comes_again(postgres_url: str) -> None:
    engine, shop = Engine.open(postgres_url), Shop(postgres_url)
    without_a_watcher(engine)
    with shop.db.atomic():
        shop.order("holds the feed back")
        waiting = waits(engine)
        given_a_run(engine)
        until(lambda: rows(engine, "SELECT id FROM notices"))

    assert short(waiting.answer()["events"]) == [("w", "workflow_started")]
    shop.close()
    engine.close()


def test_the_feed_is_read_by_its_index(postgres_url: str, clock: Clock) -> None:
    engine = Engine.open(postgres_url, clock=clock)
    engine.workflows.start_batch([a_start(f"w{number}") for number in range(1000)])
    cursor = now(engine)
    mark, horizon = engine.store.dialect.mark, engine.store.dialect.horizon

    plan = rows(
        engine,
        f"EXPLAIN SELECT * FROM notices WHERE ({mark}, id) > (?, ?) AND {mark} < {horizon} ORDER BY {mark}, id LIMIT 9",
        *map(int, cursor.split("-")[1:]),
    )

    assert "Index Scan using notices_mark" in plan[1][0]
    engine.close()


def test_played_workers_are_no_part_of_the_feed(engine: Engine) -> None:
    Played(engine).begins()

    assert kept(engine) == []
