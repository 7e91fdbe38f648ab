"""`assay healthcheck`: for Docker and the like, so it starts fast and asks one thing."""

from __future__ import annotations

import click

from ..failures import Failed
from ..options import SharedOption
from .commands import EngineCommand
from .commands import Session
from .commands import pass_session
from .probe import probe
from .probe import why_not_ready

_ANSWER_SECS = 5.0


_TIMEOUT = SharedOption(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECS",
    help=f"How long to wait for the answer.  [default: {_ANSWER_SECS:g}]",
)


@click.command(cls=EngineCommand, params=[_TIMEOUT])
@click.option(
    "--ready", is_flag=True, help="Whether it should get requests, too: its database answers, it is not ending."
)
@pass_session
def healthcheck(session: Session, *, ready: bool) -> None:
    """Ask the service whether it lives, and wait 5 s for the answer (or --timeout).

    Exit code 0: it does; 1: it does not.
    """
    path = "readyz" if ready else "livez"
    told = probe(session.profile.engine_url, path, session.timeout_secs(_ANSWER_SECS))
    url = f"{session.profile.engine_url}/{path}"
    if told.status != 200:
        raise Failed(f"{url}: HTTP {told.status}: {why_not_ready(told)}")
    if not told.by_an_engine:
        raise Failed(f"{url}: something answers that is no assay engine")
    if session.out.table:
        session.out.line("ready" if ready else "alive")
    else:
        session.out.record(told.body)
