"""Paths as they were sent: `%2F` inside an id is part of the id, and what is no text is refused.

A WSGI server decodes the path before anybody routes by it, so `a%2Fb` would become two segments. Here the
path is decoded again from what was sent, with a stand-in for each encoded slash: a code point that is no
character (U+FDD0, Unicode 23.7), so no id can hold it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication

SLASH = "\ufdd0"

_ENCODED_SLASH = re.compile(rb"%2[fF]")
_STAND_IN = b"%EF%B7%90"
_SLASH_IN_PATH_INFO = SLASH.encode().decode("latin-1")
_NOBODYS = b"%EF%B7%91"  # U+FDD1: another one, refused wherever an id is read
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_AUTHORITY = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.-]*://[^/]*")


def keeping_slashes(app: WSGIApplication, below: str) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """Wrap a WSGI app so that encoded slashes in paths below `below` reach its routes as stand-ins."""

    def serve(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        sent = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        path = environ.get("PATH_INFO", "")
        if "%2" in sent and path.startswith(below):
            _protect(environ, sent)
        elif path.startswith("//") and path.lstrip("/").startswith(below[1:]):
            # Werkzeug takes several slashes at the front for one; here, two slashes are another path.
            environ["PATH_INFO"] = "/" + _SLASH_IN_PATH_INFO + path[2:]
        return app(environ, start_response)

    return serve


def as_sent(text: str) -> str:
    """Give a part of the path with its slashes."""
    return text.replace(SLASH, "/")


def fault(path: str, raw_path: str) -> str | None:
    """Say what is wrong with a path, if anything; `raw_path` is the WSGI server's (bytes as latin-1)."""
    if "\ufffd" in path and not _is_text(raw_path):
        return "the path is not UTF-8"
    if _CONTROL.search(path) is not None:
        return "the path holds a control character"
    return None


def _is_text(raw_path: str) -> bool:
    """Tell a U+FFFD that was sent from one that stands for bytes that are not UTF-8."""
    try:
        raw_path.encode("latin-1").decode()
    except UnicodeError:
        return False
    return True


def _protect(environ: dict[str, Any], sent: str) -> None:
    """Write PATH_INFO anew, where it is certain which part of what was sent it stands for."""
    raw = sent.encode("latin-1", "replace").partition(b"?")[0]
    raw = _AUTHORITY.sub(b"", raw, count=1) if not raw.startswith(b"/") else raw
    if _ENCODED_SLASH.search(raw) is None:
        return
    mount = environ.get("SCRIPT_NAME", "")
    if unquote_to_bytes(raw).decode("latin-1") != mount + environ["PATH_INFO"]:
        return  # a server in front has rewritten it
    while mount:  # the mount point was sent with or without percent signs
        head, _, raw = raw[1:].partition(b"/")
        raw = b"/" + raw
        taken = "/" + unquote_to_bytes(head).decode("latin-1")
        if not mount.startswith(taken):
            return
        mount = mount[len(taken) :]
    raw = re.sub(re.escape(_STAND_IN), _NOBODYS, raw, flags=re.IGNORECASE).replace(b"\xef\xb7\x90", _NOBODYS)
    environ["PATH_INFO"] = unquote_to_bytes(_ENCODED_SLASH.sub(_STAND_IN, raw)).decode("latin-1")
