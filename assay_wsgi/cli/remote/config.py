"""`assay config`: what the command line goes by, and where it has that from."""

from __future__ import annotations

import click

from ...settings import inherited_environ
from ..failures import Failed
from ..output import Column
from ..profile import search_path
from .commands import EngineGroup
from .commands import Session
from .commands import pass_session


@click.group(cls=EngineGroup)
def config() -> None:
    """Show what the command line goes by: flag, then environment, then config file, then default."""


@config.command()
@pass_session
def show(session: Session) -> None:
    """Show each setting and where it comes from. A key is not shown whole."""
    profile = session.profile
    shown = {
        "engine_url": profile.engine_url,
        "api_key": profile.shown_key,
        "namespace": profile.namespace,
        "output": (profile.output or session.out.format).value,
    }
    rows = [{"setting": name, "value": value, "source": profile.sources[name]} for name, value in shown.items()]
    session.out.records([rows], (Column("SETTING", "setting"), Column("VALUE", "value"), Column("SOURCE", "source")))


@config.command()
@pass_session
def path(session: Session) -> None:
    """Print the path of the config file that is read. Exit code 1 where there is none."""
    found = session.profile.path
    if found is None:
        places = ", ".join(str(place) for place in search_path(inherited_environ({})))
        raise Failed(f"there is no config file: looked for {places}")
    click.echo(found)
