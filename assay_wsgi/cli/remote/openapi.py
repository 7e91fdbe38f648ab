"""`assay openapi`: the description of the service's API, as the service gives it."""

from __future__ import annotations

import click

from .commands import EngineCommand
from .commands import Session
from .commands import pass_session


@click.command(cls=EngineCommand)
@pass_session
def openapi(session: Session) -> None:
    """Print the service's OpenAPI document."""
    session.out.record(session.service.get("describe the API", "openapi.json"))
