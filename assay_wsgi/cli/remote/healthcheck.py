"""`assay healthcheck`: for Docker and the like, so it starts fast and asks one thing."""

from __future__ import annotations

import click

from ..failures import Failed
from .commands import EngineCommand
from .commands import Session
from .commands import pass_session
from .probe import probe
from .probe import why_not_ready


@click.command(cls=EngineCommand)
@click.option(
    "--ready", is_flag=True, help="Whether it should get requests, too: its database answers, it is not ending."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=5.0,
    metavar="SECS",
    show_default=True,
    help="How long to wait for the answer.",
)
@pass_session
def healthcheck(session: Session, *, ready: bool, timeout: float) -> None:
    """Ask the service whether it lives. Exit code 0: it does; 1: it does not."""
    path = "readyz" if ready else "livez"
    told = probe(session.profile.engine_url, path, timeout)
    url = f"{session.profile.engine_url}/{path}"
    if told.status != 200:
        raise Failed(f"{url}: HTTP {told.status}: {why_not_ready(told)}")
    if not told.by_an_engine:
        raise Failed(f"{url}: something answers that is no assay engine")
    if session.out.table:
        session.out.line("ready" if ready else "alive")
    else:
        session.out.record(told.body)
