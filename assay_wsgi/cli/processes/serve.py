"""`assay serve`: gunicorn and the sidecar under one small parent."""

from __future__ import annotations

import logging
import socket
import sys
from functools import partial

import click

from ...settings import Settings
from ...settings import SettingsError
from .. import logs
from ..options import backend_option
from ..options import with_settings
from . import notify
from . import ports
from .child import Command
from .supervisor import Supervisor

log = logging.getLogger(__name__)

KILL_AFTER_SECS = 5.0  # beyond the time that the web processes are given


def _refuse_keys(_context: click.Context, option: click.Parameter, value: bool) -> None:
    """An option of the reference that would make or show keys: there is nothing that would ask for them."""
    if value:
        raise click.UsageError(f"{option.opts[0]}: authentication is not in this version yet, so there are no keys")


@click.command()
@backend_option
@click.option("--host", help="Where to listen.  [default: the host of $ASSAY_BIND, else 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 8080]")
@click.option("--no-auth", is_flag=True, help="Ask nobody who they are (the default, on loopback only).")
@click.option("--insecure-no-auth", is_flag=True, help="Ask nobody who they are, beyond loopback too.")
@click.option("--auth-api-key", is_flag=True, help="Not in this version yet.")
@click.option("--auth-issuer", metavar="URL", help="Not in this version yet.")
@click.option("--auth-audience", metavar="NAME", help="Not in this version yet.")
@click.option(
    "--generate-api-key", is_flag=True, expose_value=False, callback=_refuse_keys, help="Not in this version yet."
)
@click.option(
    "--list-api-keys", is_flag=True, expose_value=False, callback=_refuse_keys, help="Not in this version yet."
)
@click.option("--no-sidecar", is_flag=True, help="Without the sidecar: run `assay sidecar` yourself.")
def serve(
    *,
    backend: str | None,
    host: str | None,
    port: int | None,
    no_auth: bool,  # noqa: ARG001  what it asks for is so anyway
    insecure_no_auth: bool,
    auth_api_key: bool,
    auth_issuer: str | None,
    auth_audience: str | None,
    no_sidecar: bool,
) -> None:
    """Run the service: the web processes and the sidecar, started again when they die.

    SIGTERM and Ctrl-C end it in peace. SIGHUP replaces its processes by new ones, and no request fails.
    """
    _refuse_authentication(auth_api_key, auth_issuer, auth_audience)
    settings, environ = with_settings(backend, {"ASSAY_INSECURE_NO_AUTH": "1"} if insecure_no_auth else None)
    if settings.backend.in_memory:
        raise click.UsageError(
            "sqlite://:memory: lives in one process and the service has several: name a file, "
            "or embed the engine (README)"
        )
    bound_host, bound_port = settings.address
    bound_host = host or bound_host
    bound_port = bound_port if port is None else port
    _refuse_open_door(settings, bound_host)
    logs.configure(settings.process.log_level)
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
        Store.open(settings.database_url, settings=settings.engine).close()
    except Unavailable as error:
        log.warning("the service waits for its database: %s", error)
    except AssayError as error:
        raise click.ClickException(f"{settings.backend.shown}: {error}") from None
    except peewee.DatabaseError as error:
        raise click.ClickException(f"{settings.backend.shown} cannot be used: {error}") from None


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


def _refuse_authentication(api_key: bool, issuer: str | None, audience: str | None) -> None:
    """Better no server than one that lets everybody in although it was told not to."""
    asked = [
        name
        for name, given in (
            ("--auth-api-key", api_key),
            ("--auth-issuer", issuer),
            ("--auth-audience", audience),
        )
        if given
    ]
    if asked:
        raise click.UsageError(
            f"{', '.join(asked)}: authentication is not in this version yet. Without it the server listens "
            "on loopback; put a proxy that authenticates before it"
        )


def _refuse_open_door(settings: Settings, host: str) -> None:
    try:
        settings.refuse_open_door(host)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
