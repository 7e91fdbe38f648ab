"""From an exception to an answer: one shape, one handler; the codes and their statuses stand in `codes`.

The shape serves the reference's clients (`error`), ours (`code`) and RFC 9457 at once. No SQL, no path and
no stack trace gets into it.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import orjson
from flask import Response
from flask import request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.exceptions import NotFound as NoRoute

from ..domain.errors import AssayError
from ..domain.errors import Conflict
from ..domain.errors import Invalid
from ..domain.errors import NotFound
from ..domain.errors import Unauthorized
from ..domain.errors import Unavailable
from . import paths
from .codes import CODES
from .context import request_id

log = logging.getLogger(__name__)

_BY_KIND: tuple[tuple[type[AssayError], str], ...] = (
    (NotFound, "not_found"),
    (Conflict, "conflict"),
    (Invalid, "invalid"),
    (Unavailable, "store_unavailable"),
)
_WHO = "this needs a credential that is good: an API key or a token, as Authorization: Bearer"
_BY_STATUS = {
    404: "unknown_route",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
}
_OWN_MEMBERS = frozenset({"error", "code", "request_id", "details", "type", "title", "status", "detail"})
_PROBLEM_JSON = "application/problem+json"
_RETRY_AFTER_SECS = 1


def status_of(error: AssayError) -> tuple[int, str]:
    """Give the HTTP status and the title of a refusal."""
    known = CODES.get(error.code)
    if known is None:
        known = CODES[next((code for kind, code in _BY_KIND if isinstance(error, kind)), "internal")]
    return known.status, known.title


def refusal(error: AssayError) -> dict[str, Any]:
    """Describe the refusal of one item among several: `error`, `code` and what the refusal names."""
    return {**error.told(), "error": _text(error)}


def answer(error: Exception) -> Response:
    """Answer a request that ended with `error`. For Flask's `register_error_handler`."""
    if isinstance(error, AssayError):
        status, title = status_of(error)
        if status == CODES["internal"].status:
            return _unexpected(error)
        return _problem(status, title, error.code, _text(error), error.members)
    if isinstance(error, HTTPException):
        return _of_http(error)
    return _unexpected(error)


def _of_http(error: HTTPException) -> Response:
    status = error.code or 500
    code = _BY_STATUS.get(status, "bad_request" if status < 500 else "internal")
    if isinstance(error, NoRoute):
        problem = paths.fault(request.path, request.environ["PATH_INFO"])
        if problem is not None:
            return _problem(CODES["invalid_path"].status, CODES["invalid_path"].title, "invalid_path", problem, {})
        text = f"not found: there is no {paths.as_sent(request.path)[:200]}"
    else:
        text = error.description or error.name
    response = _problem(status, CODES[code].title if status in _BY_STATUS else error.name, code, text, {})
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _unexpected(error: Exception) -> Response:
    log.error(
        "request failed method=%s route=%s request_id=%s", request.method, request.url_rule, request_id(),
        exc_info=error,
    )  # fmt: skip
    text = "something went wrong here; the server's log has more under this request_id"
    return _problem(500, CODES["internal"].title, "internal", text, {})


def _problem(status: int, title: str, code: str, text: str, members: dict[str, Any]) -> Response:
    body = {
        "error": text,
        "code": code,
        "request_id": request_id(),
        "details": members.get("details", []),
        "type": f"urn:assay:error:{code}",
        "title": title,
        "status": status,
        "detail": text,
    }
    body.update((name, value) for name, value in members.items() if name not in _OWN_MEMBERS)
    wanted = _PROBLEM_JSON if _PROBLEM_JSON in request.headers.get("Accept", "") else "application/json"
    response = Response(orjson.dumps(body), status, content_type=wanted)
    response.headers["X-Request-Id"] = request_id()
    if status == 401:
        # RFC 6750, section 3.1: who showed nothing is told no error.
        bad = "HTTP_AUTHORIZATION" in request.environ
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if bad else "Bearer"
    if status == 503 or "retry_after_secs" in members:
        response.headers["Retry-After"] = str(math.ceil(members.get("retry_after_secs", _RETRY_AFTER_SECS)))
    return response


def _text(error: AssayError) -> str:
    text = error.message
    if isinstance(error, Unauthorized):  # one text for all: it tells nobody what there is
        return _WHO
    if isinstance(error, NotFound) and not text.startswith("not found: "):
        return f"not found: {text}"
    return text
