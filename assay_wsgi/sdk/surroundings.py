"""What a program is told by its environment: where the service is, and with which key, namespace and queue."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from .transport import DEFAULT_URL
from .transport import Token


def url(environ: Mapping[str, str] = os.environ) -> str:
    """Return where the service is."""
    return environ.get("ASSAY_ENGINE_URL") or DEFAULT_URL


log = logging.getLogger(__name__)


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
    name = environ.get("ASSAY_API_KEY_FILE")
    return KeyFile(name) if name else environ.get("ASSAY_API_KEY") or None


def namespace(environ: Mapping[str, str] = os.environ) -> str:
    """Return the namespace."""
    return environ.get("ASSAY_NAMESPACE") or "main"


def queue(environ: Mapping[str, str] = os.environ) -> str:
    """Return the task queue."""
    return environ.get("ASSAY_QUEUE") or "default"


def _read_key(name: str) -> str:
    try:
        key = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"ASSAY_API_KEY_FILE names {name}, which cannot be read: {reason}") from error
    if not key or not key.isprintable() or " " in key:
        raise ValueError(f"ASSAY_API_KEY_FILE names {name}, which holds {'no' if not key else 'more than a'} key")
    return key
