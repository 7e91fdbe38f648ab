"""Runs and a program's own rows in one transaction: both are there, or neither."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import peewee
import pytest

import assay_wsgi
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import AlreadyTerminal
from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import StoreBusy
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.errors import WrongTransaction
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.settings import EngineSettings
from tests.engine.faults import Fault
from tests.engine.faults import Faults
from tests.engine.faults import Kind
from tests.engine.faults import When
from tests.engine.hosts import Shop
from tests.engine.stories import Played
from tests.engine.stories import a_start
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.processes import PATIENCE_SECS
from tests.processes import until

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

W = RunRef(workflow_id="w", namespace="main")


class Broken(Exception):
    """The program itself fails."""


@pytest.fixture
def shop(engine: Engine, backend: str) -> Iterator[Shop]:
    """A shop on the engine's database."""
    opened = Shop(backend)
    yield opened
    opened.close()


@pytest.fixture
def other_shop(shop: Shop, backend: str) -> Iterator[Shop]:
    """Another connection of the same shop."""
    opened = Shop(backend)
    yield opened
    opened.db.close()


def in_thread(act: Callable[[], Any]) -> Callable[[], Any]:
    """Do something in a thread. Gives the function that waits for it and gives what it gave or raised."""
    said: list[Any] = []

    def run() -> None:
        try:
            said.append(act())
        except Exception as error:  # noqa: BLE001 - the story judges it
            said.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def wait() -> Any:
        thread.join(PATIENCE_SECS)
        return said[0]

    return wait


# --------------------------------------------------------------------------------- together or not at all


def test_an_order_and_its_run_are_committed_together(engine: Engine, shop: Shop) -> None:
    with engine.transaction(shop.db) as flow:
        shop.order("w")
        started = flow.start("Order", "w", task_queue="q", input={"n": 1})

        with pytest.raises(NotFound):
            engine.workflows.describe(W)

    assert shop.orders() == ["w"]
    assert (record(engine, W)["run_id"], record(engine, W)["input"]) == (started["run_id"], '{"n":1}')
    assert Played(engine).takes()["run_id"] == started["run_id"]


def test_an_order_and_its_run_are_rolled_back_together(engine: Engine, shop: Shop) -> None:
    with suppress(Broken), engine.transaction(shop.db) as flow:
        shop.order("w")
        flow.start(a_start())
        raise Broken

    assert shop.orders() == []
    with pytest.raises(NotFound):
        engine.workflows.describe("w")
    assert given_a_run(engine).run_id is not None  # the name is free, and so are the keys that were rolled back


def test_a_transaction_that_has_begun_already_takes_runs_along(engine: Engine, shop: Shop) -> None:
    flow = engine.within(shop.db)  # made once, used in many transactions

    for name in ("a", "b"):
        with shop.db.atomic():
            shop.order(name)
            flow.start("Order", name)

    assert shop.orders() == ["a", "b"]
    assert [engine.workflows.describe(name)["status"] for name in ("a", "b")] == ["PENDING", "PENDING"]


def test_a_nested_block_that_is_rolled_back_takes_its_runs_with_it(engine: Engine, shop: Shop) -> None:
    with engine.transaction(shop.db) as flow:
        flow.start("Order", "kept")
        with suppress(Broken), shop.db.atomic():
            shop.order("lost")
            flow.start("Order", "lost")
            flow.signal("kept", "go")
            raise Broken
        flow.start("Order", "lost-and-found")

    assert shop.orders() == []
    assert [name for (name,) in rows(engine, "SELECT workflow_id FROM workflows ORDER BY 1")] == [
        "kept", "lost-and-found",
    ]  # fmt: skip
    assert history(engine, RunRef(workflow_id="kept")) == ["WorkflowStarted"]


def test_what_is_refused_leaves_the_transaction_as_it_was(engine: Engine, shop: Shop) -> None:
    given_a_run(engine)

    with engine.transaction(shop.db) as flow:
        shop.order("before")
        with pytest.raises(AlreadyStarted):
            flow.start(a_start())
        with pytest.raises(NotFound):
            flow.signal("nobody", "go")
        with pytest.raises(Invalid):
            flow.start("Order", "x", input={"n": float("nan")})
        shop.order("then")
        flow.start("Order", "v")

    assert shop.orders() == ["before", "then"]
    assert engine.workflows.describe("v")["status"] == "PENDING"


def test_a_transaction_sees_what_it_has_done(engine: Engine, shop: Shop) -> None:
    with engine.transaction(shop.db) as flow:
        flow.start(a_start())
        flow.signal("w", "go", value={"by": "Ann"})
        flow.cancel("w")

    assert history(engine, W) == ["WorkflowStarted", "SignalReceived", "WorkflowCancelRequested"] or history(engine, W)[
        :2
    ] == ["WorkflowStarted", "SignalReceived"]
    assert '{"by":"Ann"}' in engine.workflows.events(W)[1]["payload"]


def test_a_repeat_under_one_key_is_answered_once_the_first_is_committed(engine: Engine, shop: Shop) -> None:
    key = Idempotency(scope="shop", key="k", hash="h")
    with suppress(Broken), engine.transaction(shop.db) as flow:
        flow.start("Order", idempotency=key)
        raise Broken
    with engine.transaction(shop.db) as flow:
        first = flow.start("Order", idempotency=key)
        assert flow.start("Order", idempotency=key) == first

    assert engine.workflows.start("Order", idempotency=key) == first
    assert rows(engine, "SELECT COUNT(*) FROM workflows") == [(1,)]


# ---------------------------------------------------------------------------------- runs in every state


def test_signals_reach_runs_in_every_state_and_closed_ones_are_refused(engine: Engine, shop: Shop) -> None:
    given_a_run(engine, "pending")
    given_a_parked(engine, "parked", worker=Played(engine, "bob", queue="p"), task_queue="p")
    _, worker, task = given_a_running(engine, "closed", worker=Played(engine, "eve", queue="c"), task_queue="c")
    worker.reports(task, CompleteWorkflow())
    given_a_running(engine, "running", worker=Played(engine, "joe", queue="r"), task_queue="r")

    with engine.transaction(shop.db) as flow:
        for name in ("pending", "parked", "running"):
            flow.signal(name, "go")
        with pytest.raises(WorkflowClosed):
            flow.signal("closed", "go")
        again = flow.signal("parked", "go", signal_id="s")
        assert flow.signal("parked", "go", signal_id="s")["event_seq"] == again["event_seq"]

    for name in ("pending", "parked", "running"):
        assert "SignalReceived" in history(engine, RunRef(workflow_id=name))


def test_cancel_and_terminate_work_in_every_state(engine: Engine, shop: Shop) -> None:
    given_a_parked(engine, "parked")
    given_a_run(engine, "pending")
    given_a_run(engine, "doomed")

    with engine.transaction(shop.db) as flow:
        flow.cancel("pending")
        flow.cancel("parked", "no more")
        flow.terminate("doomed", "now")
        with pytest.raises(AlreadyTerminal):
            flow.cancel("doomed")
        sent = assay_wsgi.SentSignal(name="go")
        assert flow.signal_with_start(a_start("fresh"), sent)["started"] is True

    last = {name: history(engine, RunRef(workflow_id=name))[-1] for name in ("pending", "parked", "doomed", "fresh")}
    assert last == {
        "pending": "WorkflowCancelled", "parked": "WorkflowCancelRequested", "doomed": "WorkflowTerminated",
        "fresh": "SignalReceived",
    }  # fmt: skip


def test_who_waits_for_work_hears_of_the_hosts_commit(engine: Engine, shop: Shop) -> None:
    engine._wakeups.start()
    engine._wakeups._look_once = lambda: PATIENCE_SECS  # type: ignore[method-assign]  # the watcher finds nothing
    worker = Played(engine)
    taken = in_thread(lambda: worker.takes_up_to(1, wait_secs=PATIENCE_SECS))
    until(lambda: engine._wakeups.waiters.waited_for())

    with engine.transaction(shop.db) as flow:
        started = flow.start(a_start())

    assert [task["run_id"] for task in taken()] == [started["run_id"]]


# ----------------------------------------------------------------------------------------- who is refused


def test_without_a_transaction_nothing_is_done(engine: Engine, shop: Shop) -> None:
    flow = engine.within(shop.db)
    with pytest.raises(WrongTransaction, match="no transaction has begun"):
        flow.start(a_start())

    with engine.transaction(shop.db):
        assert isinstance(in_thread(lambda: flow.start(a_start()))(), WrongTransaction)  # another thread's is another
        with pytest.raises(WrongTransaction, match="begun"), engine.transaction(shop.db):
            pass
    assert rows(engine, "SELECT COUNT(*) FROM workflows") == [(0,)]


def test_another_database_is_refused(engine: Engine, shop: Shop, tmp_path: Path, request: Any, backend: str) -> None:
    if backend.startswith("sqlite"):
        shop.db.close()
        copy = tmp_path / "copy.db"
        shutil.copy(tmp_path / "assay.db", copy)
        stranger = Shop(f"sqlite://{copy}")
    else:
        stranger = Shop(request.getfixturevalue("postgres").empty_database())

    with pytest.raises(WrongTransaction, match="is not the engine's"), engine.transaction(stranger.db) as flow:
        flow.start(a_start())
    with stranger.db.atomic():
        with pytest.raises(WrongTransaction, match="is not the engine's"):
            engine.within(stranger.db).start(a_start())
        stranger.order("usable still")
    stranger.close()


def test_another_kind_of_database_is_refused(engine: Engine) -> None:
    with pytest.raises(WrongTransaction, match="MySQLDatabase"):
        engine.within(peewee.MySQLDatabase("shop"))


def test_an_engine_in_memory_shares_its_connection_with_nobody() -> None:
    engine = assay_wsgi.Engine.open("sqlite://:memory:")
    with pytest.raises(WrongTransaction, match="in memory"):
        engine.within(peewee.SqliteDatabase(":memory:"))
    engine.close()


def test_rows_as_a_program_likes_them_do_no_harm(engine: Engine, shop: Shop, backend: str) -> None:
    raw = shop.db.connection()
    if backend.startswith("sqlite"):
        import sqlite3

        raw.row_factory = sqlite3.Row
    else:
        from psycopg.rows import dict_row

        raw.row_factory = dict_row

    with engine.transaction(shop.db) as flow:
        flow.start(a_start())
        flow.signal("w", "go")

    assert history(engine, W) == ["WorkflowStarted", "SignalReceived"]


# ------------------------------------------------------------------------------------ PostgreSQL: row locks


@pytest.fixture
def impatient(postgres_url: str) -> Iterator[Engine]:
    """An engine that waits for a tenth of a second."""
    opened = assay_wsgi.Engine.open(postgres_url, settings=EngineSettings(store_wait_secs=0.1))
    yield opened
    opened.close()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_that_sees_the_past_is_refused(impatient: Engine, postgres_url: str, level: str) -> None:
    shop = Shop(postgres_url)

    with shop.db.atomic(level):
        with pytest.raises(WrongTransaction, match=level):
            impatient.within(shop.db).start(a_start())
        shop.order("usable still")

    assert shop.orders() == ["usable still"]
    shop.close()


def test_the_feed_orders_by_the_transaction_that_commits_not_by_its_savepoints(
    impatient: Engine, postgres_url: str
) -> None:
    shop = Shop(postgres_url)
    given_a_run(impatient)

    with impatient.transaction(shop.db) as flow:
        with shop.db.atomic():
            shop.order("in a savepoint")
            flow.signal("w", "go")
            flow.start("Order", "v")
        given_a_run(impatient, "later")  # commits before
        flow.signal("v", "go")
        ((own,),) = shop.run("SELECT pg_current_xact_id()::text::bigint")

    marks = rows(impatient, "SELECT DISTINCT mark FROM notices WHERE workflow_id = 'v'")
    ((later,),) = rows(impatient, "SELECT DISTINCT mark FROM notices WHERE workflow_id = 'later'")
    assert marks == [(own,)]
    assert later > own
    shop.close()


def test_a_run_that_is_held_is_waited_for_and_left(impatient: Engine, postgres_url: str) -> None:
    given_a_run(impatient)
    one, two = Shop(postgres_url), Shop(postgres_url)
    holder, waiter = impatient.within(one.db), impatient.within(two.db)
    settings = "SELECT current_setting('lock_timeout'), current_setting('enable_seqscan')"

    with one.db.atomic(), two.db.atomic():
        holder.signal("w", "go")
        before = two.run(settings)
        with pytest.raises(StoreBusy):
            waiter.signal("w", "go")
        waiter.start("Order", "v")
        assert two.run(settings) == before
        two.order("usable still")
        with pytest.raises(StoreBusy):
            impatient.workflows.signal("w", "go")
        assert impatient.workflows.start("Order", "u")["status"] == "PENDING"  # the service's other work goes on

    assert impatient.workflows.describe("v")["status"] == "PENDING"
    two.db.close()
    one.close()


def test_two_programs_that_wait_for_each_other_are_told_to_roll_back(postgres_url: str) -> None:
    engine = assay_wsgi.Engine.open(postgres_url, settings=EngineSettings(store_wait_secs=PATIENCE_SECS))
    for name in ("a", "b"):
        given_a_run(engine, name)
    shop, meet = Shop(postgres_url), threading.Barrier(2)

    def crosses(first: str, second: str) -> Any:
        with shop.db.connection_context(), engine.transaction(shop.db) as flow:
            flow.signal(first, "go")
            meet.wait(PATIENCE_SECS)
            flow.signal(second, "go")
        return "done"

    said = [wait() for wait in (in_thread(lambda: crosses("a", "b")), in_thread(lambda: crosses("b", "a")))]

    assert sorted(type(one).__name__ for one in said) == ["StoreBusy", "str"]
    assert "roll yours back" in str(next(one for one in said if isinstance(one, StoreBusy)))
    assert [history(engine, RunRef(workflow_id=name)) for name in ("a", "b")] == [
        ["WorkflowStarted", "SignalReceived"]
    ] * 2
    engine.close()
    shop.close()


# -------------------------------------------------------------------------------------- SQLite: one writer


def test_who_has_read_before_another_wrote_is_told_to_begin_again(sqlite_url: str) -> None:
    engine = assay_wsgi.Engine.open(sqlite_url)
    shop = Shop(sqlite_url)

    with shop.db.atomic():  # begins as a reader
        shop.orders()
        engine.workflows.start(a_start())
        with pytest.raises(StoreBusy, match="begin it again"):
            engine.within(shop.db).start("Order", "v")
    with engine.transaction(shop.db) as flow:
        flow.start("Order", "v")

    assert engine.workflows.describe("v")["status"] == "PENDING"
    engine.close()
    shop.close()


@pytest.mark.slow
def test_a_transaction_that_stays_open_costs_the_service_time_and_nothing_else(sqlite_url: str) -> None:
    engine = assay_wsgi.Engine.open(sqlite_url)
    shop = Shop(sqlite_url)

    with engine.transaction(shop.db) as flow:
        flow.start(a_start())
        with pytest.raises(StoreBusy):
            engine.workflows.start("Order", "v")  # within ten seconds
        assert engine.workflows.list(ListFilter())[0] == []  # reading goes on

    assert engine.workflows.start("Order", "v")["status"] == "PENDING"
    engine.close()
    shop.close()


# -------------------------------------------------------------------------------------------------- races


def test_of_two_programs_that_start_one_id_the_second_learns_of_the_first(
    engine: Engine, shop: Shop, other_shop: Shop
) -> None:
    with engine.transaction(shop.db) as flow:
        first = flow.start(a_start())

        def begins() -> Any:
            with other_shop.db.connection_context(), engine.transaction(other_shop.db) as second:
                return second.start(a_start())

        second, third = in_thread(begins), in_thread(lambda: engine.workflows.start(a_start()))
        flow.start("Order", "more")  # the two are on their way meanwhile

    for refused in (second(), third()):
        assert isinstance(refused, AlreadyStarted)
        assert refused.members["run_id"] == first["run_id"]


def test_a_turn_that_closes_a_run_comes_after_the_signal_of_an_open_transaction(engine: Engine, shop: Shop) -> None:
    run, worker, task = given_a_running(engine)
    with engine.transaction(shop.db) as flow:
        flow.signal("w", "go")
        closing = in_thread(lambda: worker.reports(task, CompleteWorkflow()))
        flow.start("Order", "more")

    assert closing()["code"] == "unhandled_events"
    assert history(engine, run) == ["WorkflowStarted", "SignalReceived"]


# ------------------------------------------------------------------------------------------------ crashes


def test_whatever_call_fails_order_and_run_are_both_there_or_neither(engine: Engine, backend: str) -> None:
    faults = Faults()
    shop = Shop(backend, faults.wrap)
    given_a_run(engine, "kept")

    def buys(name: str) -> None:
        with engine.transaction(shop.db) as flow:
            shop.order(name)
            flow.start("Order", name)
            flow.signal("kept", "bought", signal_id=name)

    with faults.armed(None):
        buys("without a fault")
    calls, bought, left = faults.calls, {"without a fault"}, 0
    for call in range(1, calls + 1):
        for when in When:
            for kind in (Kind.REFUSED, Kind.CONFLICT, Kind.FULL, Kind.LOST, Kind.TORN):
                name = f"{kind} {when} {call}"
                with faults.armed(Fault(call, when, kind)):
                    try:
                        buys(name)
                    except BaseException:  # noqa: BLE001 - the program has no answer, whatever it was
                        left += 1
                    else:
                        bought.add(name)
                    if kind is Kind.LOST or not shop.db.is_closed():
                        shop.db.close()
    orders = set(shop.orders())

    assert calls > 10
    assert left > calls
    assert bought <= orders
    assert orders - bought <= {f"{kind} after {calls}" for kind in Kind}  # committed, and nobody could say so
    runs = {name for (name,) in rows(engine, "SELECT workflow_id FROM workflows")} - {"kept"}
    signals = {name for (name,) in rows(engine, "SELECT signal_id FROM workflow_signals")}
    assert runs == signals == orders
    shop.close()


# ------------------------------------------------------------------------------------------------- upkeep


def test_an_engine_with_upkeep_ends_what_took_too_long_by_itself(backend: str, clock: Clock) -> None:
    engine = assay_wsgi.Engine.open(backend, clock=clock, upkeep=True)
    engine.workflows.start("Order", "w", run_timeout_secs=5.0)
    clock.advance(6.0)

    until(lambda: engine.workflows.describe("w")["close_reason"] == "timed_out")

    thread = engine._upkeep_thread
    engine.close()
    assert thread is not None
    assert not thread.is_alive()
