"""The Idempotency-Key header: who repeats a request gets the first answer again."""

from __future__ import annotations

import re
from hashlib import sha256

import orjson
from flask import request

from ..domain.errors import Invalid
from ..domain.requests import LONGEST_NAME
from ..domain.requests import Idempotency
from .access import caller

_KEY = re.compile(r"[!-~]{1,255}")


def idempotency(raw: bytes) -> Idempotency | None:
    """Read the key, and hash what makes a request the same: method, path, query and the body `raw`."""
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if _KEY.fullmatch(key) is None:
        details = [{"field": "Idempotency-Key", "issue": "invalid_idempotency_key"}]
        raise Invalid(
            "Idempotency-Key must be 1 to 255 visible ASCII characters",
            code="invalid_idempotency_key",
            details=details,
        )
    head = orjson.dumps([request.method, request.path, sorted(request.args.items(multi=True))])
    return Idempotency(scope=_scope(caller().principal.name), key=key, hash=sha256(head + b"\n" + raw).hexdigest())


def _scope(name: str) -> str:
    """Give the scope of a caller's keys: the name itself, where it is no longer than a scope may be."""
    return name if len(name) <= LONGEST_NAME else sha256(name.encode()).hexdigest()
