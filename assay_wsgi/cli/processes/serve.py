"""`assay serve`: gunicorn and the sidecar under one small parent."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import click

from ...settings import Settings
from ...settings import SettingsError
from .. import hostkeys
from .. import logs
from ..options import backend_option
from ..options import with_settings
from . import notify
from . import ports
from .child import Command
from .supervisor import Supervisor

if TYPE_CHECKING:
    from ...store.store import Store

log = logging.getLogger(__name__)

KILL_AFTER_SECS = 5.0  # beyond the time that the web processes are given


@click.command()
@backend_option
@click.option("--host", help="Where to listen.  [default: the host of $ASSAY_BIND, else 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 8080]")
@click.option("--no-auth", is_flag=True, help="Ask nobody who they are (the default, on loopback only).")
@click.option("--insecure-no-auth", is_flag=True, help="Ask nobody who they are, beyond loopback too.")
@click.option("--auth-api-key", is_flag=True, help="Ask callers for an API key.  [env: ASSAY_AUTH_API_KEY]")
@click.option(
    "--auth-issuer", metavar="URL", help="Ask callers for a token (JWT) of this issuer.  [env: ASSAY_AUTH_ISSUER]"
)
@click.option("--auth-audience", metavar="NAME", help="What the tokens are for.  [env: ASSAY_AUTH_AUDIENCE]")
@click.option("--generate-api-key", is_flag=True, help="Make an API key that may do everything, print it, and end.")
@click.option("--list-api-keys", is_flag=True, help="List the API keys, and end.")
@click.option("--no-sidecar", is_flag=True, help="Without the sidecar: run `assay sidecar` yourself.")
def serve(
    *,
    backend: str | None,
    host: str | None,
    port: int | None,
    no_auth: bool,
    insecure_no_auth: bool,
    auth_api_key: bool,
    auth_issuer: str | None,
    auth_audience: str | None,
    generate_api_key: bool,
    list_api_keys: bool,
    no_sidecar: bool,
) -> None:
    """Run the service: the web processes and the sidecar, started again when they die.

    SIGTERM and Ctrl-C end it in peace. SIGHUP replaces its processes by new ones, and no request fails.
    """
    if (no_auth or insecure_no_auth) and (auth_api_key or auth_issuer or auth_audience):
        raise click.UsageError(
            "either callers are asked who they are or they are not: --auth-... goes with no --no-auth"
        )
    asked = _asked(auth_api_key, auth_issuer, auth_audience, nobody=no_auth or insecure_no_auth)
    if insecure_no_auth:
        asked["ASSAY_INSECURE_NO_AUTH"] = "1"
    settings, environ = with_settings(backend, asked)
    if settings.backend.in_memory:
        raise click.UsageError(
            "sqlite://:memory: lives in one process and the service has several: name a file, "
            "or embed the engine (README)"
        )
    if generate_api_key:
        hostkeys.print_new_key(settings)
        return
    if list_api_keys:
        hostkeys.print_keys(settings)
        return
    bound_host, bound_port = settings.address
    bound_host = host or bound_host
    bound_port = bound_port if port is None else port
    _refuse_open_door(settings, bound_host)
    logs.configure(settings.process.log_level)
    _refuse_issuer(settings)
    _refuse_wrong_database(settings)

    try:
        held = ports.claim(bound_host, bound_port)
    except OSError as error:
        url = ports.url_of(bound_host, bound_port)
        raise click.ClickException(f"cannot listen at {url}: {error.strerror or error}") from None
    with held:
        bound_port = held.getsockname()[1]
        written_host = f"[{bound_host}]" if ":" in bound_host else bound_host
        environ["ASSAY_BIND"] = f"{written_host}:{bound_port}"
        log.info("%s", ports.start_line(settings, bound_host, bound_port))
        ended = Supervisor(
            _commands(settings, environ, held, with_sidecar=not no_sidecar),
            patience_secs=settings.http.graceful_secs + KILL_AFTER_SECS,
            tell=partial(notify.tell, settings.process.notify_socket),
        ).run()
    sys.exit(0 if ended else 1)


def _refuse_wrong_database(settings: Settings) -> None:
    """Say once what each web process would say at every start. One that is away may come back: that is waited for."""
    import peewee

    from ...domain.errors import AssayError
    from ...domain.errors import Unavailable
    from ...store.store import Store

    try:
        store = Store.open(settings.database_url, settings=settings.engine)
        try:
            if settings.auth.api_keys and not settings.jwt.issuer and not _key_was_made(store):
                log.warning(
                    "there is no API key yet: `assay apikey create --backend %s` makes one", settings.backend.shown
                )
        finally:
            store.close()
    except Unavailable as error:
        log.warning("the service waits for its database: %s", error)
    except AssayError as error:
        raise click.ClickException(f"{settings.backend.shown}: {error}") from None
    except peewee.DatabaseError as error:
        raise click.ClickException(f"{settings.backend.shown} cannot be used: {error}") from None


def _key_was_made(store: Store) -> bool:
    from ...store import reads

    with store.read() as db:
        return reads.key_was_made(db)


def _commands(
    settings: Settings, environ: dict[str, str], listener: socket.socket, *, with_sidecar: bool
) -> list[Command]:
    # The service manager hears from this process alone: gunicorn would say that it serves before it does.
    environ = {name: value for name, value in environ.items() if name != "NOTIFY_SOCKET"}
    gunicorn = (
        sys.executable, "-m", "gunicorn", "-c", "python:assay_wsgi.cli.processes.gunicorn_conf",
        "--bind", f"fd://{listener.fileno()}",
    )  # fmt: skip
    commands = [
        Command(name="gunicorn", argv=gunicorn, environ=environ, voices=settings.web_workers, listener=listener)
    ]
    if with_sidecar:
        sidecar = (sys.executable, "-m", "assay_wsgi", "sidecar")
        commands.append(Command(name="sidecar", argv=sidecar, environ=environ))
    return commands


def _asked(api_key: bool, issuer: str | None, audience: str | None, *, nobody: bool) -> dict[str, str]:
    """Give what the options say of who is let in, as settings; what none of them names stays as it is set."""
    if nobody:
        return {"ASSAY_AUTH_API_KEY": "0", "ASSAY_AUTH_ISSUER": "", "ASSAY_AUTH_AUDIENCE": ""}
    said = {
        "ASSAY_AUTH_API_KEY": "1" if api_key else None, "ASSAY_AUTH_ISSUER": issuer, "ASSAY_AUTH_AUDIENCE": audience,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


def _refuse_issuer(settings: Settings) -> None:
    """Say once what each web process would say of an issuer that cannot be trusted so.

    One that is away may come back: it is only asked, beside the start, so that a wrong name is seen at once.
    """
    if not settings.jwt.issuer:
        return
    from ...auth.issuer import probe
    from ...auth.trust import Trust

    try:
        trust = Trust.of(settings.jwt)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    threading.Thread(target=probe, args=(trust,), name="issuer-probe", daemon=True).start()


def _refuse_open_door(settings: Settings, host: str) -> None:
    try:
        settings.refuse_open_door(host)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
