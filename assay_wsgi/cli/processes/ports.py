"""The port of the service: one socket, which all web processes inherit, old ones and new."""

from __future__ import annotations

import socket

from ...settings import Settings
from ...version import __version__


def claim(host: str, port: int) -> socket.socket:
    """Hold a port without listening on it, so that it stays ours while web processes come and go.

    Port 0 picks a free one. Raises OSError when somebody else listens there.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
    except OSError:
        held.close()
        raise
    return held


def url_of(host: str, port: int) -> str:
    """The URL at which a server that binds host and port is found."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def start_line(settings: Settings, host: str, port: int) -> str:
    """What a person wants to know of a server that starts."""
    return f"assay {__version__} at {url_of(host, port)}, database {settings.backend.shown}, {_door(settings)}"


def _door(settings: Settings) -> str:
    """Say who is let in, loudly where that is everybody."""
    asked = ["API keys"] if settings.auth.api_keys else []
    if settings.jwt.issuer:
        everything = (
            "" if settings.jwt.role_claim else ": each of them may do everything, ASSAY_AUTH_ROLE_CLAIM is unset"
        )
        asked.append(f"tokens of {settings.jwt.issuer}{everything}")
    if asked:
        return f"for {' and '.join(asked)}"
    reach = "whoever reaches it may do anything" if settings.http.insecure_no_auth else "loopback only"
    return f"no authentication ({reach})"
