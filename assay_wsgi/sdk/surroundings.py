"""What a program is told by its environment: where the service is, and with which key, namespace and queue."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .transport import DEFAULT_URL


def url(environ: Mapping[str, str] = os.environ) -> str:
    """Return where the service is."""
    return environ.get("ASSAY_ENGINE_URL") or DEFAULT_URL


def token(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the key: what is in the file that ASSAY_API_KEY_FILE names, else ASSAY_API_KEY, else None.

    Raises ValueError for a file that cannot be read or holds no key.
    """
    name = environ.get("ASSAY_API_KEY_FILE")
    if not name:
        return environ.get("ASSAY_API_KEY") or None
    try:
        key = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"ASSAY_API_KEY_FILE names {name}, which cannot be read: {reason}") from error
    if not key or not key.isprintable() or " " in key:
        raise ValueError(f"ASSAY_API_KEY_FILE names {name}, which holds {'no' if not key else 'more than a'} key")
    return key


def namespace(environ: Mapping[str, str] = os.environ) -> str:
    """Return the namespace."""
    return environ.get("ASSAY_NAMESPACE") or "main"


def queue(environ: Mapping[str, str] = os.environ) -> str:
    """Return the task queue."""
    return environ.get("ASSAY_QUEUE") or "default"
