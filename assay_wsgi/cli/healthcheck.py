"""`assay healthcheck`: for Docker and the like, so it starts fast: the standard library's HTTP, and one request."""

from __future__ import annotations

import json
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler
from urllib.request import OpenerDirector
from urllib.request import ProxyHandler
from urllib.request import build_opener

import click

from ..settings import is_loopback
from .failures import Failed
from .remote import EngineCommand
from .remote import Session
from .remote import pass_session

_READ = 65536  # bytes of an answer


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


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
    url = f"{session.profile.engine_url}/{'readyz' if ready else 'livez'}"
    try:
        with _opener(url).open(url, timeout=timeout) as answer:
            told = _read(answer.read(_READ))
    except HTTPError as error:
        with error:
            raise Failed(f"{url}: HTTP {error.code}: {_why(_read(error.read(_READ)))}") from None
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise Failed(f"engine unreachable at {session.profile.engine_url}: {said}") from None
    if "ready" not in told and told.get("service") != "assay-workflow":
        raise Failed(f"{url}: something answers that is no assay engine")
    if session.out.table:
        session.out.line("ready" if ready else "alive")
    else:
        session.out.record(told)


def _opener(url: str) -> OpenerDirector:
    proxies = [ProxyHandler({})] if is_loopback(urlsplit(url).hostname or "") else []
    return build_opener(_NoRedirects(), *proxies)


def _read(body: bytes) -> dict[str, object]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _why(told: dict[str, object]) -> str:
    if told.get("draining"):
        return "it is ending"
    if "database" in told:
        return f"its database is {told['database']}"
    return str(told.get("error") or "is this an assay engine?")
