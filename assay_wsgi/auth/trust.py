"""What the operator has said of the issuer, read and checked before anything is served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from typing import TypeVar
from urllib.parse import urlsplit

from ..settings import JwtSettings
from ..settings import SettingsError
from ..settings import is_loopback
from .jwk import KIND_OF_KEY
from .rolemap import RoleMap

_DISCOVERY = "/.well-known/openid-configuration"
_PORTS = {"https": 443, "http": 80}
_MAX_LEEWAY_SECS = 300.0  # a token that ran out longer ago is no question of clocks

Given = TypeVar("Given")
Read = TypeVar("Read")


class Origin(NamedTuple):
    """Where a URL leads."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose tokens are taken, and which of them."""

    issuer: str  # exactly as its tokens name it
    audience: str
    origin: Origin
    key_origins: frozenset[Origin]  # where else the issuer may keep its keys
    algorithms: tuple[str, ...]
    leeway_secs: float
    role_map: RoleMap | None  # None: every token is an administrator's

    @classmethod
    def of(cls, settings: JwtSettings) -> Trust:
        """Read the settings of a service that has an issuer. Raises SettingsError, which says what to do."""
        return cls(
            issuer=settings.issuer or "",
            audience=_read("ASSAY_AUTH_AUDIENCE", _read_audience, settings.audience or ""),
            origin=_read("ASSAY_AUTH_ISSUER", read_issuer, settings.issuer or ""),
            key_origins=_read("ASSAY_AUTH_JWKS_HOSTS", _read_hosts, settings.jwks_hosts),
            algorithms=_read("ASSAY_AUTH_ALGORITHMS", _read_algorithms, settings.algorithms),
            leeway_secs=_read("ASSAY_AUTH_LEEWAY_SECS", _check_leeway, settings.leeway_secs),
            role_map=_read("ASSAY_AUTH_ROLE_MAP", _read_role_map, settings),
        )

    @property
    def discovery_url(self) -> str:
        """Where the issuer describes itself (OpenID Connect Discovery 1.0, section 4)."""
        return self.issuer.rstrip("/") + _DISCOVERY


def _read(name: str, read: Callable[[Given], Read], given: Given) -> Read:
    try:
        return read(given)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from None


def read_issuer(url: str) -> Origin:
    """Check what is to be an issuer, and say where it is. Raises ValueError."""
    origin = read_origin(url)
    if "?" in url or "#" in url:
        raise ValueError(f"{url!r:.300} has a query or a fragment, which no issuer has")
    if origin.scheme == "http" and not is_loopback(origin.host):
        raise ValueError(
            f"{url!r:.300} is not https: whoever is in between could hand out keys. Plain http is for loopback alone"
        )
    return origin


def read_origin(url: str) -> Origin:
    """Say where a URL leads. Raises ValueError where it is none that is fetched."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r:.300} is no URL: write https://host/path")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r:.300} is no URL: write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user or a password will not do")
    return Origin(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])


def _read_audience(name: str) -> str:
    if not name.strip():
        raise ValueError(
            "say --auth-audience with --auth-issuer: without it, a token that the issuer gave out for any other "
            "service would be good here"
        )
    return name


def _check_leeway(secs: float) -> float:
    if secs > _MAX_LEEWAY_SECS:
        raise ValueError(f"at most {_MAX_LEEWAY_SECS:g} seconds: set the clocks instead")
    return secs


def _read_role_map(settings: JwtSettings) -> RoleMap | None:
    if not settings.role_claim and not settings.role_map:
        return None
    return RoleMap.read(settings.role_claim or "", settings.role_map or "")


def _read_algorithms(text: str) -> tuple[str, ...]:
    names = _words(text)
    unknown = [name for name in names if name not in KIND_OF_KEY]
    if unknown or not names:
        given = f"{unknown[0]!r:.60} will not do" if unknown else "none is named"
        raise ValueError(f"{given}: write some of {', '.join(KIND_OF_KEY)}, commas between them")
    return tuple(dict.fromkeys(names))


def _read_hosts(text: str) -> frozenset[Origin]:
    if any("/" in host or "@" in host for host in _words(text)):
        raise ValueError(f"{text!r:.300}: write hosts, commas between them, as in www.googleapis.com")
    return frozenset(read_origin(f"https://{host}") for host in _words(text))


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]
