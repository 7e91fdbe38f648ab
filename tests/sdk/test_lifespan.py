"""What a worker has around its work, and workers that live inside other programs."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import pytest

from assay_wsgi.cli.processes.worker import worker as cli_worker
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import __main__ as sdk_main
from tests.sdk.service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.shut()


def noting(told: list[str]) -> Assay:
    app = Assay()

    @app.activity
    def greet() -> None:
        told.append("works")

    @app.workflow
    def Hello(ctx: Context) -> None:
        ctx.execute_activity(greet)

    return app


def test_a_lifespan_is_around_all_of_the_work(service: Service) -> None:
    told: list[str] = []
    app = noting(told)

    @app.lifespan
    def pool() -> Iterator[None]:
        told.append("pool begins")
        yield
        told.append("pool ends")

    @app.lifespan
    @contextmanager
    def cache() -> Iterator[None]:
        told.append("cache begins")
        yield
        told.append("cache ends")

    with app.worker(connect=service.connect):
        service.until_closed(service.start("Hello", "h1"))

    assert told == ["pool begins", "cache begins", "works", "cache ends", "pool ends"]


def test_what_still_runs_is_finished_before_the_lifespan_is_left(service: Service) -> None:
    told: list[str] = []
    began, may_end = threading.Event(), threading.Event()
    app = Assay()

    @app.activity
    def linger() -> None:
        began.set()
        assert may_end.wait(10)
        told.append("done")

    @app.workflow
    def Slow(ctx: Context) -> None:
        ctx.execute_activity(linger)

    @app.lifespan
    def pool() -> Iterator[None]:
        yield
        told.append("left")

    worker = app.worker(connect=service.connect)
    worker.start()
    service.start("Slow", "s1")
    assert began.wait(10)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    assert worker.ended.wait(10)
    may_end.set()

    assert worker.stop() is True  # waits for the other, and says the same
    stopping.join(10)
    assert told == ["done", "left"]


def test_an_included_app_brings_its_lifespan() -> None:
    app, other = Assay(), Assay()

    @other.lifespan
    def pool() -> Iterator[None]:
        yield

    app.include(other)
    app.include(other)

    assert app.lifespans == [pool]


def failing(told: list[str]) -> Assay:
    app = noting(told)

    @app.lifespan
    def first() -> Iterator[None]:
        told.append("begins")
        yield
        told.append("ends")

    @app.lifespan
    def second() -> Iterator[None]:
        raise ConnectionError("no database")
        yield

    return app


def test_a_worker_whose_lifespan_cannot_be_entered_does_not_start(service: Service) -> None:
    told: list[str] = []

    with pytest.raises(RuntimeError, match="lifespan cannot be entered: ConnectionError: no database"):
        failing(told).worker(connect=service.connect).start()

    assert told == ["begins", "ends"]
    assert service.bodies == []


def test_a_worker_that_runs_says_why_it_did_not_start(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    worker = failing([]).worker(connect=service.connect)

    assert worker.run() == 1

    assert "worker does not start" in caplog.text
    assert "ConnectionError: no database" in caplog.text


def test_an_error_at_the_end_of_a_lifespan_is_told_and_the_worker_has_ended(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    app = noting([])

    @app.lifespan
    def bad() -> Iterator[None]:
        yield
        raise OSError("cannot close")

    with app.worker(connect=service.connect) as worker:
        pass

    assert worker.error == "the app's lifespan failed when it was left: OSError: cannot close"
    assert "cannot close" in caplog.text
    assert service.session == ""


def test_a_lifespan_that_is_none_is_refused(service: Service) -> None:
    app = noting([])

    async def wrong() -> None: ...

    with pytest.raises(TypeError, match="wrong: a lifespan is a plain synchronous function"):
        app.lifespan(wrong)

    app.lifespan(lambda: 7)
    with pytest.raises(RuntimeError, match="a lifespan yields once, or returns a context manager; this returned 7"):
        app.worker(connect=service.connect).start()


# --------------------------------------------------------------------------- inside other programs


def test_a_worker_runs_in_a_thread_of_a_program_and_touches_neither_signals_nor_logging(service: Service) -> None:
    told: list[str] = []
    worker = noting(told).worker(connect=service.connect)
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    logging_before = logging.getLogger().handlers[:], logging.getLogger("assay_wsgi").handlers[:]
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(worker.run()))
    thread.start()
    service.until_closed(service.start("Hello", "h1"))

    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert (logging.getLogger().handlers, logging.getLogger("assay_wsgi").handlers) == logging_before
    assert worker.stop() is True
    thread.join(10)
    assert (codes, told) == ([0], ["works"])


def test_two_apps_work_in_one_program_each_for_its_service() -> None:
    told: tuple[list[str], list[str]] = ([], [])
    services = Service(), Service()
    apps = noting(told[0]), noting(told[1])

    with apps[0].worker(connect=services[0].connect), apps[1].worker(connect=services[1].connect):
        runs = [one.start("Hello", f"h{n}") for n, one in enumerate(services)]
        for one, run in zip(services, runs, strict=True):
            one.until_closed(run)

    assert told == (["works"], ["works"])


def test_both_commands_that_run_a_worker_take_the_same_options(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(sdk_main, "main", lambda _target, **options: given.update(options) or 0)
    alone = {"app", "reload", "reload_fd", "config"}  # reloading, and the config file, are the command line's

    sdk_main.command(["worker", "m:a"])

    assert isinstance(cli_worker, click.Command)
    assert {one.name for one in cli_worker.params} - alone == given.keys()


@pytest.mark.parametrize("slots", ["workflow_slots", "activity_slots"])
def test_fewer_slots_than_none_are_refused(slots: Any) -> None:
    with pytest.raises(ValueError, match="a worker has 0 slots or more, not -1"):
        noting([]).worker(**{slots: -1})
