"""`assay sidecar`: the process around assay_wsgi.sidecar: its signals, its patience, its end."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING

import click

from ...settings import Settings
from .. import logs
from ..options import backend_option
from ..options import with_settings
from . import lifeline

if TYPE_CHECKING:
    from ...engine import Engine

log = logging.getLogger(__name__)

END_SECS = 2.8  # after SIGTERM; what is not finished by then is rolled back
ORPHAN_SECS = 0.9
FIRST_PAUSE_SECS = 0.2
LONGEST_PAUSE_SECS = 5.0


@click.command()
@backend_option
def sidecar(*, backend: str | None) -> None:
    """Run what must happen by itself: deadlines, dead workers, pruning. Of several, one leads."""
    settings, _ = with_settings(backend)
    if settings.backend.in_memory:
        raise click.UsageError("sqlite://:memory: lives in one process: use engine.upkeep.run() in that one")
    logs.configure(settings.process.log_level)
    stop = _stop_event(settings)
    opened = _opened(settings, stop)
    if opened is None:
        return
    from ...sidecar.run import Sidecar

    lifeline.say_ready(settings.process.ready_fd)
    try:
        Sidecar(opened, _owner()).run(stop)
    finally:
        opened.close()


def _stop_event(settings: Settings) -> Event:
    """What SIGTERM, SIGINT and the death of the parent set."""
    stop = Event()

    def end() -> None:
        lifeline.exit_within(END_SECS)
        stop.set()

    def orphaned() -> None:
        lifeline.exit_within(ORPHAN_SECS)
        stop.set()

    signal.set_wakeup_fd(lifeline.bell(end), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, _rung)
    signal.signal(signal.SIGINT, _rung)
    if settings.process.parent_fd is not None:
        lifeline.when_any_ends([settings.process.parent_fd], orphaned)
    return stop


def _rung(_number: int, _frame: FrameType | None) -> None:
    """The bell was rung before Python heard of the signal."""


def _opened(settings: Settings, stop: Event) -> Engine | None:
    """Open the engine, however long the database is away. None when told to stop meanwhile.

    A file that is not there is waited for, too: a sidecar has nothing to do in one that it would make itself, and its
    name may be a slip. The service, which may be starting beside it, makes it.
    """
    from ...domain.errors import AssayError
    from ...domain.errors import Unavailable
    from ...engine import Engine

    pause = FIRST_PAUSE_SECS
    while not stop.is_set():
        try:
            if settings.backend.dialect == "sqlite" and not os.path.exists(settings.backend.path):
                raise Unavailable("there is no such file; `assay serve` or `assay db migrate` makes it")
            return Engine.open(settings.database_url, settings=settings.engine)
        except Unavailable as error:
            log.warning("no database at %s, next try in %.1f s: %s", settings.backend.shown, pause, error)
        except AssayError as error:
            raise click.ClickException(f"{settings.backend.shown}: {error}") from None
        stop.wait(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECS)
    return None


def _owner() -> str:
    """Name this process among all sidecars of the database."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
