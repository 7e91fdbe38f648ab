"""What a program is told by its environment: where the service is, and with which key, namespace and queue."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from .transport import DEFAULT_URL
from .transport import Token

log = logging.getLogger(__name__)

_presumed: dict[str, str] = {}


def presume(values: Mapping[str, str]) -> None:
    """Take values of variables that the environment does not name: whoever starts a worker may know better."""
    _presumed.update(values)


def url(environ: Mapping[str, str] = os.environ) -> str:
    """Return where the service is."""
    return _said("ASSAY_ENGINE_URL", environ) or DEFAULT_URL


class KeyFile:
    """A file that holds the key, read again whenever it has changed: what is in it may be good for an hour.

    Raises ValueError where it cannot be read, or holds no key, and never could or did.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._read: tuple[object, str] = self._stamp(), _read_key(name)

    def __call__(self) -> str:
        """Return the key. While the file is away or half written, it is the one that was there before."""
        stamp, key = self._read
        found = self._stamp()
        if found is not None and found != stamp:
            try:
                key = _read_key(self._name)
            except ValueError as error:
                log.warning("%s: the key that was there before is used", error)
            self._read = found, key
        return key

    def _stamp(self) -> object:
        try:
            state = os.stat(self._name)
        except OSError:
            return None
        return state.st_mtime_ns, state.st_ino, state.st_size


def token(environ: Mapping[str, str] = os.environ) -> Token:
    """Return the key: what is in the file that ASSAY_API_KEY_FILE names, else ASSAY_API_KEY, else None.

    Raises ValueError for a file that cannot be read or holds no key.
    """
    for known in (environ, _presumed):
        name, key = known.get("ASSAY_API_KEY_FILE"), known.get("ASSAY_API_KEY")
        if name or key:
            return KeyFile(name) if name else key
    return None


def namespace(environ: Mapping[str, str] = os.environ) -> str:
    """Return the namespace."""
    return _said("ASSAY_NAMESPACE", environ) or "main"


def queue(environ: Mapping[str, str] = os.environ) -> str:
    """Return the task queue."""
    return environ.get("ASSAY_QUEUE") or "default"


def _said(name: str, environ: Mapping[str, str]) -> str | None:
    return environ.get(name) or _presumed.get(name)


def _read_key(name: str) -> str:
    try:
        key = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"ASSAY_API_KEY_FILE names {name}, which cannot be read: {reason}") from error
    if not key or not key.isprintable() or " " in key:
        raise ValueError(f"ASSAY_API_KEY_FILE names {name}, which holds {'no' if not key else 'more than a'} key")
    return key
