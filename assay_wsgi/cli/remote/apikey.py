"""`assay apikey`: make, list, rotate and revoke API keys; by the service, or on its host in the database itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ...domain.requests import ROLES
from ..hostkeys import host_keys
from ..options import with_settings
from ..output import Column
from .asking import Span
from .commands import EngineGroup
from .commands import Session
from .commands import pass_session

COLUMNS = (
    Column("PREFIX", "prefix"),
    Column("LABEL", "label"),
    Column("ROLES", "roles"),
    Column("NAMESPACES", "namespaces"),
    Column("CREATED", "created_at", time=True),
    Column("EXPIRES", "expires_at", time=True),
    Column("LAST USED", "last_used_at", time=True),
)

on_host = click.option(
    "--backend", metavar="URL", help="Do it in this database, without the service: for the first key, or the last."
)


@click.group(cls=EngineGroup)
def apikey() -> None:
    """Make, list, rotate and revoke API keys."""


@apikey.command()
@click.option("--label", metavar="TEXT", help="For people, and for --idempotent.")
@click.option(
    "--role", "roles", type=click.Choice(ROLES), multiple=True,
    help="What its bearer may do; may be said again.  [default: admin and worker, which is everything]",
)  # fmt: skip
@click.option(
    "--in", "namespaces", metavar="NAMESPACE", multiple=True,
    help="Where; may be said again.  [default: wherever you may make keys]",
)  # fmt: skip
@click.option("--expires-in", type=Span(), metavar="SPAN", help="When it ends: 90d, 12h.  [default: never]")
@click.option("--idempotent", is_flag=True, help="Be content with a live key of the same label.")
@on_host
@pass_session
def create(
    session: Session,
    *,
    label: str | None,
    roles: tuple[str, ...],
    namespaces: tuple[str, ...],
    expires_in: float | None,
    idempotent: bool,
    backend: str | None,
) -> None:
    """Make a key. It is shown this once: `plaintext` of what is printed."""
    wanted: dict[str, Any] = {"label": label, "expires_in_secs": expires_in, "idempotent": idempotent}
    if roles:
        wanted["roles"] = roles
    if namespaces:
        wanted["namespaces"] = namespaces
    if backend is None:
        record = session.service.post("create API key", "api-keys", body=wanted)
    else:
        from ...domain.requests import NewKey

        with host_keys(with_settings(backend)[0]) as keys:
            record, _ = keys.create(NewKey(**wanted))
    _show(session, record)


@apikey.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), metavar="N", help="How many at most.  [default: 1000]")
@click.option("--offset", type=click.IntRange(0), metavar="N", help="How many to pass over.")
@on_host
@pass_session
def list_keys(session: Session, limit: int | None, offset: int | None, backend: str | None) -> None:
    """List the keys that are not revoked, the oldest first; with --namespace, those for it alone."""
    where = session.profile.named_namespace
    if backend is None:
        pages = session.service.pages("list API keys", "api-keys", limit=limit, offset=offset, namespace=where)
        session.out.records(pages, COLUMNS)
        return
    with host_keys(with_settings(backend)[0]) as keys:
        session.out.records([keys.list(where=where, limit=limit or 1000, offset=offset or 0)], COLUMNS)


def _as_prefix(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    """Go on with the prefix of a whole key: the key itself belongs into no URL and no message."""
    return text[:14] if text.startswith("assay_") and len(text) == 70 else text


@apikey.command()
@click.argument("prefix", callback=_as_prefix)
@click.option("--grace", type=Span(), metavar="SPAN", help="For how long the old key still works.  [default: 1d]")
@on_host
@pass_session
def rotate(session: Session, prefix: str, grace: float | None, backend: str | None) -> None:
    """Replace a key by one with the same rights; both work for a while. The new one is shown this once."""
    if backend is None:
        told = {} if grace is None else {"grace_secs": grace}
        record = session.service.post(f"rotate API key {prefix}", "api-keys", prefix, "rotate", body=told)
    else:
        from ...engine.keys import ROTATION_GRACE_SECS

        with host_keys(with_settings(backend)[0]) as keys:
            record = keys.rotate(prefix, grace_secs=ROTATION_GRACE_SECS if grace is None else grace)
    _show(session, record)


@apikey.command()
@click.argument("prefix", callback=_as_prefix)
@on_host
@pass_session
def revoke(session: Session, prefix: str, backend: str | None) -> None:
    """End a key: within five seconds it opens nothing any more."""
    if backend is None:
        session.service.call(f"revoke API key {prefix}", "DELETE", ("api-keys", prefix))
    else:
        with host_keys(with_settings(backend)[0]) as keys:
            keys.revoke(prefix)
    session.out.done(f"API key {prefix} was revoked")


def _show(session: Session, record: Mapping[str, Any]) -> None:
    session.out.record(record)
    if "plaintext" in record:
        session.hint("keep the plaintext now: it is never shown again")
