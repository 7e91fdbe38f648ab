"""Every setting, declared once: name, type, default, unit and a line of doc; read once into a frozen value.

This is the only module that reads the environment (the SDK, which stands alone, reads its own names).
`python -m assay_wsgi.settings` prints docs/reference/settings.md.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Literal
from typing import get_type_hints
from urllib.parse import parse_qsl
from urllib.parse import urlencode
from urllib.parse import urlsplit
from urllib.parse import urlunsplit

LOOPBACK_HOSTS = ("localhost", "::1")

# Names that others own: the SDK, the tests, and the archive and dashboard, which read theirs later.
# Read by the SDK and the command line, which share the environment with the service.
FOREIGN_NAMES = {
    "ASSAY_ENGINE_URL", "ASSAY_API_KEY", "ASSAY_API_KEY_FILE", "ASSAY_NAMESPACE", "ASSAY_QUEUE", "ASSAY_OUTPUT",
    "ASSAY_CONFIG_FILE",
}  # fmt: skip
FOREIGN_PREFIXES = ("ASSAY_TEST_", "ASSAY_ARCHIVE_S3_", "ASSAY_WHITELABEL_")

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


class SettingsError(ValueError):
    """The environment holds names or values that cannot be meant. The text has one line for each."""


# ------------------------------------------------------------------------------------- the database's url


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendUrl:
    """Where the database is: a file (or memory) for SQLite, a connection string for PostgreSQL."""

    dialect: Literal["sqlite", "postgres"]
    path: str = ""  # SQLite: absolute, relative, or ":memory:"
    dsn: str = ""  # PostgreSQL: what libpq reads

    @classmethod
    def parse(cls, url: str) -> BackendUrl:
        """Read a database URL. Raises ValueError saying what would be right."""
        scheme, separator, rest = url.partition("://")
        if separator and scheme == "sqlite":
            return cls._sqlite(url, rest)
        if separator and scheme in ("postgres", "postgresql"):
            return cls(dialect="postgres", dsn=_without_mode(url))
        raise ValueError(
            f"{masked(url)!r} is no database URL: write sqlite:///absolute/path.db, sqlite://relative.db, "
            "sqlite://:memory: or postgresql://user@host/database"
        )

    @classmethod
    def _sqlite(cls, url: str, rest: str) -> BackendUrl:
        path, _, query = rest.partition("?")
        unknown = [name for name, _ in parse_qsl(query, keep_blank_values=True) if name != "mode"]
        if unknown:
            raise ValueError(f"{url!r}: SQLite URLs take no option {unknown[0]!r}")
        if path.startswith("//"):
            path = path[1:]
        if not path or path.endswith("/"):
            raise ValueError(f"{url!r} names no file: write sqlite:///absolute.db or sqlite://relative.db")
        if path == "/:memory:":
            raise ValueError(f"{url!r}: write sqlite://:memory: (two slashes)")
        return cls(dialect="sqlite", path=path)

    @property
    def in_memory(self) -> bool:
        """The database lives and dies with this process."""
        return self.path == ":memory:"

    @property
    def shown(self) -> str:
        """The URL for people and logs, without its password."""
        return f"sqlite://{self.path}" if self.dialect == "sqlite" else masked(self.dsn)


def masked(url: str) -> str:
    """Hide the password of a URL."""
    parts = urlsplit(url)
    netloc = parts.netloc
    user, at, host = netloc.rpartition("@")
    name, colon, password = user.partition(":")
    if at and colon and password:
        netloc = f"{name}:***@{host}"
    query = "&".join(
        "password=***" if item.startswith("password=") else item for item in parts.query.split("&") if item
    )
    tail = f"{parts.path}?{query}" if query else parts.path
    return f"{parts.scheme}://{netloc}{tail}" if parts.scheme else url


def _without_mode(url: str) -> str:
    parts = urlsplit(url)
    if "mode=" not in parts.query:
        return url
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "mode"]
    return urlunsplit(parts._replace(query=urlencode(kept)))


# ------------------------------------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What is known of one setting, beside its type."""

    env: str
    unit: str
    doc: str
    minimum: float | None = None
    shown_default: str | None = None  # where the default is not a constant
    check: Callable[[str], object] | None = None  # raises ValueError
    secret: bool = False  # never shown, not even where it will not do


def setting(env: str, default: Any, unit: str, doc: str, **more: Any) -> Any:
    """Declare a field of a settings group."""
    declared = Declaration(env=env, unit=unit, doc=doc, **more)
    return field(default=default, repr=not declared.secret, metadata={"setting": declared})


def read_bind(text: str) -> tuple[str, int]:
    """Split host:port; IPv6 hosts stand in brackets. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("write host:port, as in 127.0.0.1:8080 or [::1]:8080")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("write an IPv6 address in brackets: [::1]:8080")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Only this machine can reach a server that binds this host."""
    return host in LOOPBACK_HOSTS or (host.startswith("127.") and host.replace(".", "").isdecimal())


def _long_enough(text: str) -> str:
    if len(text) < 32 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("at least 32 visible ASCII characters, as `openssl rand -hex 32` makes them")
    return text


def _log_level(text: str) -> str:
    if text not in ("debug", "info", "warning", "error"):
        raise ValueError("write debug, info, warning or error")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What the engine and the store need to know: plain numbers."""

    workflow_lease_secs: float = setting(
        "ASSAY_WF_DISPATCH_TIMEOUT_SECS", 30.0, "seconds",
        "How long a worker may hold a workflow task before it is given to another.", minimum=1,
    )  # fmt: skip
    worker_silence_secs: float = setting(
        "ASSAY_WORKER_SILENCE_SECS", 90.0, "seconds",
        "A worker not heard of for so long is retired, and its leases are released.", minimum=1,
    )  # fmt: skip
    cancel_grace_secs: float = setting(
        "ASSAY_CANCEL_GRACE_SECS", 60.0, "seconds",
        "A run that was asked to cancel, has not heard of it and finds no worker in its queue for so long is cancelled "
        "by the engine.",
        minimum=1,
    )  # fmt: skip
    store_wait_secs: float = setting(
        "ASSAY_STORE_WAIT_SECS", 3.0, "seconds",
        "How long a request waits for rows that somebody else holds before it is answered 503 `store_busy`.",
        minimum=0.1,
    )  # fmt: skip
    batch_weight: int = setting(
        "ASSAY_BATCH_WEIGHT", 500, "rows",
        "About how many rows one transaction writes for several requests together.", minimum=1,
    )  # fmt: skip
    idempotency_keep_secs: float = setting(
        "ASSAY_IDEMPOTENCY_KEEP_SECS", 86400.0, "seconds",
        "How long the answer to an `Idempotency-Key` is kept.", minimum=60,
    )  # fmt: skip
    notice_keep_secs: float = setting(
        "ASSAY_NOTICE_KEEP_SECS", 259200.0, "seconds",
        "How long the feed's notices are kept for clients that come back.", minimum=60,
    )  # fmt: skip
    audit_keep_secs: float = setting(
        "ASSAY_AUDIT_KEEP_SECS", 90 * 86400.0, "seconds",
        "How long the lines of the audit log are kept, and API keys that were revoked or have expired.", minimum=3600,
    )  # fmt: skip
    read_connections: int = setting(
        "ASSAY_READ_CONNECTIONS", 8, "connections",
        "Connections to the database for reading, in each process.", minimum=1,
    )  # fmt: skip

    @property
    def worker_quiet_secs(self) -> float:
        """A worker not heard of for so long is shown as silent; one that lives is heard of every 30 s, busy or not."""
        return self.worker_silence_secs / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """What the web processes need to know."""

    bind: str = setting(
        "ASSAY_BIND", "127.0.0.1:8080", "host:port",
        "Where the server listens. Other than loopback, callers must be asked who they are: "
        "`ASSAY_AUTH_API_KEY=1` or `ASSAY_AUTH_ISSUER`, or `ASSAY_INSECURE_NO_AUTH=1`.",
        check=read_bind,
    )  # fmt: skip
    insecure_no_auth: bool = setting(
        "ASSAY_INSECURE_NO_AUTH", False, "0 or 1",
        "Listen beyond loopback although nobody is asked who they are.",
    )  # fmt: skip
    workers: int | None = setting(
        "ASSAY_WEB_WORKERS", None, "processes",
        "Web processes.", minimum=1, shown_default="1 on SQLite, the number of cores on PostgreSQL",
    )  # fmt: skip
    threads: int | None = setting(
        "ASSAY_HTTP_THREADS", None, "threads",
        "Threads of each web process: as many requests and long polls can be open at once.",
        minimum=2, shown_default="160 on SQLite, 96 on PostgreSQL",
    )  # fmt: skip
    reserved_threads: int = setting(
        "ASSAY_HTTP_RESERVED_THREADS", 32, "threads",
        "Threads of each web process that no long poll may hold.", minimum=1,
    )  # fmt: skip
    streams: int = setting(
        "ASSAY_HTTP_STREAMS", 64, "streams",
        "Streams of the event feed (SSE and WebSocket) that each web process holds. Each has a thread, beside those of "
        "`ASSAY_HTTP_THREADS`; one more is answered 503 `too_many_streams`.",
        minimum=0,
    )  # fmt: skip
    compute_slots: int = setting(
        "ASSAY_COMPUTE_SLOTS", 8, "requests",
        "Requests of each web process that compute at once; more would only fight for the interpreter.",
        minimum=1,
    )  # fmt: skip
    long_poll_max_secs: float = setting(
        "ASSAY_LONG_POLL_MAX_SECS", 20.0, "seconds",
        "The longest time a request for work waits for some.", minimum=0,
    )  # fmt: skip
    graceful_secs: float = setting(
        "ASSAY_GRACEFUL_SECS", 25.0, "seconds",
        "How long a web process that was told to stop may finish its requests.", minimum=1,
    )  # fmt: skip
    pin_cores: bool = setting(
        "ASSAY_PIN_CORES", False, "0 or 1",
        "Keep each web process on a core of its own: faster on a machine of ours, wrong in some containers.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtSettings:
    """Whose tokens are taken, and what they are worth. What each text may say is known to `auth/trust.py`."""

    issuer: str | None = setting(
        "ASSAY_AUTH_ISSUER", None, "URL",
        "Take bearer tokens (JWT) of this OpenID Connect issuer, named exactly as its tokens name it. "
        "https, except on loopback.",
        shown_default="none",
    )  # fmt: skip
    audience: str | None = setting(
        "ASSAY_AUTH_AUDIENCE", None, "name",
        "What tokens must name as their audience (`aud`). It must be set where an issuer is.",
        shown_default="none",
    )  # fmt: skip
    algorithms: str = setting(
        "ASSAY_AUTH_ALGORITHMS", "RS256,ES256,EdDSA", "names",
        "The signatures that are taken: some of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA.",
    )  # fmt: skip
    role_claim: str | None = setting(
        "ASSAY_AUTH_ROLE_CLAIM", None, "name",
        "The claim that holds a caller's groups or roles, dots leading inwards: `groups`, `realm_access.roles`. "
        "While it is not set, every valid token may do everything.",
        shown_default="none",
    )  # fmt: skip
    role_map: str | None = setting(
        "ASSAY_AUTH_ROLE_MAP", None, "entries",
        "Which values of that claim give which role: `platform=admin; orders=operator@orders; orders=worker@orders`. "
        "A token with none of them is refused with 403.",
        shown_default="none",
    )  # fmt: skip
    jwks_hosts: str = setting(
        "ASSAY_AUTH_JWKS_HOSTS", "", "hosts",
        "Where else than at its own host the issuer may keep its keys: `www.googleapis.com`.",
        shown_default="none",
    )  # fmt: skip
    leeway_secs: float = setting(
        "ASSAY_AUTH_LEEWAY_SECS", 30.0, "seconds",
        "How far the issuer's clock may be off; at most 300.", minimum=0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Who is let in."""

    api_keys: bool = setting(
        "ASSAY_AUTH_API_KEY", False, "0 or 1",
        "Ask callers for an API key. Without it, and without an issuer of tokens, nobody is asked who they are.",
    )  # fmt: skip
    bootstrap_token: str | None = setting(
        "ASSAY_BOOTSTRAP_TOKEN", None, "text",
        "A secret of at least 32 characters that makes the first API key over HTTP, and nothing after it.",
        shown_default="none", check=_long_enough, secret=True,
    )  # fmt: skip
    allowed_hosts: str = setting(
        "ASSAY_ALLOWED_HOSTS", "", "names",
        "By which names a service that asks nobody may be called beside `localhost` and addresses, with commas between "
        "them: that of a proxy before it.",
        shown_default="none",
    )  # fmt: skip
    audit_anonymous: bool = setting(
        "ASSAY_AUDIT_ANONYMOUS", False, "0 or 1",
        "Keep the audit log where nobody is asked who they are, too.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """What every process of ours needs to know."""

    log_level: str = setting(
        "ASSAY_LOG_LEVEL", "info", "debug, info, warning or error",
        "What is logged, to standard error.", check=_log_level,
    )  # fmt: skip
    parent_fd: int | None = setting(
        "ASSAY_PARENT_FD", None, "file descriptor",
        "Set by `assay serve` for the processes it starts: they stop when this pipe ends.",
        minimum=3, shown_default="none",
    )  # fmt: skip
    ready_fd: int | None = setting(
        "ASSAY_READY_FD", None, "file descriptor",
        "Set by `assay serve` for the processes it starts: they write a byte to this pipe once they serve.",
        minimum=3, shown_default="none",
    )  # fmt: skip
    notify_socket: str | None = setting(
        "NOTIFY_SOCKET", None, "socket",
        "Set by systemd for a service of `Type=notify`: `assay serve` says there that it serves, reloads or ends.",
        shown_default="none",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a process."""

    database_url: str = setting(
        "DATABASE_URL", "sqlite://assay-workflow.db", "URL",
        "The database: `sqlite:///absolute/path.db`, `sqlite://relative.db` or `postgresql://user@host/database`.",
        check=BackendUrl.parse,
    )  # fmt: skip
    engine: EngineSettings = field(default_factory=EngineSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    jwt: JwtSettings = field(default_factory=JwtSettings)
    process: ProcessSettings = field(default_factory=ProcessSettings)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; without `environ`, from this process's environment.

        Raises SettingsError naming every unknown ASSAY_* name and every bad value.
        """
        given = os.environ if environ is None else environ
        problems = _unknown_names(given)
        settings: Settings = _read_group(cls, given, problems)
        if not problems and settings.http_threads <= settings.http.reserved_threads:
            problems.append(
                f"ASSAY_HTTP_THREADS: {settings.http_threads} threads are not more than the "
                f"{settings.http.reserved_threads} of ASSAY_HTTP_RESERVED_THREADS: no long poll could be held"
            )
        if settings.jwt.audience and not settings.jwt.issuer:  # better no server than one that asks nobody
            problems.append(
                "ASSAY_AUTH_AUDIENCE: it says what tokens are for: --auth-issuer must say whose (ASSAY_AUTH_ISSUER)"
            )
        if problems:
            raise SettingsError("\n".join(problems))
        return settings

    @property
    def backend(self) -> BackendUrl:
        """The database's URL, read."""
        return BackendUrl.parse(self.database_url)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return read_bind(self.http.bind)

    @property
    def http_threads(self) -> int:
        """Threads of each web process."""
        if self.http.threads is not None:
            return self.http.threads
        return 160 if self.backend.dialect == "sqlite" else 96

    @property
    def web_workers(self) -> int:
        """Web processes."""
        if self.http.workers is not None:
            return self.http.workers
        return 1 if self.backend.dialect == "sqlite" else len(os.sched_getaffinity(0))

    @property
    def asks_who_calls(self) -> bool:
        """Whether callers need a credential."""
        return self.auth.api_keys or bool(self.jwt.issuer)

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Names by which the service may be called."""
        return frozenset(name.strip().lower() for name in self.auth.allowed_hosts.split(",") if name.strip())

    def refuse_open_door(self, host: str | None = None) -> None:
        """Raise SettingsError where other machines could reach a server that asks nobody who they are."""
        bound = self.address[0] if host is None else host
        if not is_loopback(bound) and not self.asks_who_calls and not self.http.insecure_no_auth:
            raise SettingsError(
                f"{bound} can be reached from other machines, and nobody is asked who they are: say --auth-api-key "
                "(ASSAY_AUTH_API_KEY=1) or --auth-issuer, or bind 127.0.0.1; --insecure-no-auth "
                "(ASSAY_INSECURE_NO_AUTH=1) lets everybody do everything"
            )


def inherited_environ(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with changes: what a child process is given."""
    return {**os.environ, **changes}


# ------------------------------------------------------------------------------------------------ reading


def declarations(group: type[Any] = Settings) -> Iterator[tuple[type[Any], str, Declaration, Any]]:
    """Every setting: its group, its type as written, its declaration and its default."""
    for item in dataclasses.fields(group):
        declared = item.metadata.get("setting")
        if declared is not None:
            yield group, str(item.type), declared, item.default
        else:
            yield from declarations(get_type_hints(group)[item.name])


def _read_group(group: type[Any], environ: Mapping[str, str], problems: list[str]) -> Any:
    values: dict[str, Any] = {}
    for item in dataclasses.fields(group):
        declared: Declaration | None = item.metadata.get("setting")
        if declared is None:
            values[item.name] = _read_group(get_type_hints(group)[item.name], environ, problems)
        elif declared.env in environ:
            try:
                values[item.name] = _read(str(item.type), declared, environ[declared.env].strip())
            except ValueError as error:
                problems.append(f"{declared.env}: {error}")
    return group(**values)


def _read(kind: str, declared: Declaration, text: str) -> Any:
    if kind == "bool":
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(f"{text!r} is neither 0 nor 1")
        return text.lower() in _TRUE
    if kind.startswith("str"):
        try:
            if declared.check is not None:
                declared.check(text)
        except ValueError as error:
            shown = "what is set" if declared.secret else repr(masked(text))
            raise ValueError(f"{shown} will not do: {error}") from None
        return text
    whole = kind.startswith("int")
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        kind = "whole number" if whole else "number"
        raise ValueError(f"{text!r} is not a {kind} (of {declared.unit})") from None
    if not math.isfinite(number) or (declared.minimum is not None and number < declared.minimum):
        raise ValueError(f"{text} {declared.unit} will not do: at least {declared.minimum}")
    return number


def _unknown_names(environ: Mapping[str, str]) -> list[str]:
    known = {declared.env for _, _, declared, _ in declarations()}
    problems = []
    for name in sorted(environ):
        if not name.startswith("ASSAY_") or name in known or name in FOREIGN_NAMES:
            continue
        if name.startswith(FOREIGN_PREFIXES):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "docs/reference/settings.md lists them all"
        problems.append(f"{name}: no such setting; {hint}")
    return problems


# ------------------------------------------------------------------------------------------- docs/reference/settings.md

_HEAD = """\
# Settings

<!-- Rendered from assay_wsgi/settings.py by `python -m assay_wsgi.settings`; a test keeps the two equal. -->

Every setting is an environment variable, read once when a process starts.
An unknown `ASSAY_*` name or a bad value ends the start with a message that names it.
The options of `assay serve` (`assay serve --help`) set the same things and win over the environment.
"""

_TITLES: dict[type[Any], str] = {
    Settings: "The database",
    EngineSettings: "The engine",
    HttpSettings: "The web processes",
    AuthSettings: "Who is let in",
    JwtSettings: "Tokens of an issuer",
    ProcessSettings: "Every process",
}


def rendered() -> str:
    """The text of docs/reference/settings.md."""
    lines = [_HEAD]
    shown: type[Any] | None = None
    for group, _, declared, default in declarations():
        if group is not shown:
            shown = group
            lines += [f"\n## {_TITLES[group]}\n\n| name | default | unit | |\n| --- | --- | --- | --- |\n"]
        written = declared.shown_default or f"`{_written(default)}`"
        lines.append(f"| `{declared.env}` | {written} | {declared.unit} | {declared.doc} |\n")
    return "".join(lines)


def _written(default: Any) -> str:
    return f"{default:g}" if isinstance(default, (bool, float)) else str(default)


if __name__ == "__main__":
    print(rendered(), end="")
