"""What a browser must not be made to do by a stranger's page, where the service asks nobody who they are.

Whoever is on this machine may do everything then, and so may a page that the browser of somebody on it shows:
by a name that leads here all of a sudden (DNS rebinding), or by a form that is sent here. No browser can hide
under which name it asks, or from where.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ..domain.errors import Forbidden
from ..domain.errors import WrongHost

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})  # of Sec-Fetch-Site; none = typed in, or no page at all


def refuse(environ: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """Refuse what a stranger's page may have sent. Raises WrongHost, Forbidden."""
    host = environ.get("HTTP_HOST", "")
    if not _is_known(_name_of(f"//{host}"), allowed_hosts):
        raise WrongHost(
            f"the service is asked under the name {host[:200]!r}, which is not its own: call it by localhost or an "
            "address, or name it in ASSAY_ALLOWED_HOSTS"
        )
    if environ["REQUEST_METHOD"] in _READING:
        return
    came_from = environ.get("HTTP_SEC_FETCH_SITE")
    origin = environ.get("HTTP_ORIGIN")
    if (came_from is not None and came_from not in _OURS) or (origin is not None and urlsplit(origin).netloc != host):
        raise Forbidden("a page of another site must not change anything here", code="cross_site")


def _name_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return "?"


def _is_known(name: str, allowed_hosts: frozenset[str]) -> bool:
    """Say whether a name cannot be a stranger's. An address is none: nobody makes it lead elsewhere."""
    if name in ("", "localhost") or name.endswith(".localhost") or name in allowed_hosts:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
