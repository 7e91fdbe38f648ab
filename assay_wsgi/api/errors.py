"""From an exception to an answer: one table of codes, one shape, one handler.

The shape serves the reference's clients (`error`), ours (`code`) and RFC 9457 at once. No SQL, no path and
no stack trace gets into it.
"""

from __future__ import annotations

import logging
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
from ..domain.errors import Unavailable
from . import paths
from .context import request_id

log = logging.getLogger(__name__)

CODES: dict[str, tuple[int, str]] = {
    # the request cannot be read
    "bad_request": (400, "Bad request"),
    "invalid_json": (400, "The body is not JSON"),
    "invalid_unicode": (400, "The body holds a lone surrogate"),
    "invalid_path": (400, "The path is not text"),
    "non_finite_number": (400, "NaN and infinities are not JSON"),
    "number_too_long": (400, "A number is too long"),
    "duplicate_key": (400, "A member is there twice"),
    "too_deep": (400, "The JSON is nested too deeply"),
    "method_not_allowed": (405, "Method not allowed"),
    "payload_too_large": (413, "Too large"),
    "unsupported_media_type": (415, "Send application/json"),
    # the request is read, and wrong
    "invalid": (422, "Invalid request"),
    "bad_command": (422, "Bad command"),
    "control_character": (422, "Control character"),
    "forbidden_character": (422, "Forbidden character"),
    "idempotency_key_reused": (422, "Idempotency-Key reused for another request"),
    "invalid_attribute": (422, "Invalid search attribute"),
    "invalid_cursor": (422, "Invalid cursor"),
    "invalid_filter": (422, "Invalid filter"),
    "invalid_id": (422, "Invalid id or name"),
    "invalid_idempotency_key": (422, "Invalid Idempotency-Key"),
    "invalid_type": (422, "Wrong type"),
    "invalid_value": (422, "Invalid value"),
    "missing_field": (422, "Missing field"),
    "out_of_range": (422, "Out of range"),
    "too_many_items": (422, "Too many items"),
    "too_many_pending": (422, "Too much is pending"),
    # the thing is not there
    "not_found": (404, "Not found"),
    "namespace_not_found": (404, "No such namespace"),
    "unknown_route": (404, "No such route"),
    # assay 0.1.8 answers 404 to a cancel of a closed run, and its clients count on it
    "already_terminal": (404, "The run is closed already"),
    # the thing is there, in another state
    "conflict": (409, "Conflict"),
    "ambiguous_namespace": (409, "Several namespaces have a run of this id"),
    "ambiguous_run": (409, "Several leases fit"),
    "id_taken": (409, "The id belongs to another open run"),
    "lease_lost": (409, "The lease is lost"),
    "namespace_exists": (409, "The namespace exists"),
    "namespace_not_empty": (409, "The namespace is not empty"),
    "namespace_protected": (409, "The namespace cannot be deleted"),
    "nondeterminism": (409, "The history says otherwise"),
    "session_unknown": (409, "The worker is not known"),
    "session_replaced": (409, "The worker has begun another session"),
    "stale_attempt": (409, "A later attempt has begun"),
    "unhandled_events": (409, "Events wait that the turn did not know"),
    "workflow_already_started": (409, "The workflow is started already"),
    "workflow_closed": (409, "The run is closed"),
    "signal_limit": (429, "The run has had too many signals"),
    # not now
    "outcome_unknown": (503, "Nobody can tell whether it was applied"),
    "schema_mismatch": (503, "The database is of another build"),
    "overloaded": (503, "Too much at once"),
    "store_busy": (503, "The store is busy"),
    "store_unavailable": (503, "The store is unavailable"),
    # never
    "internal": (500, "Internal error"),
}

_BY_KIND: tuple[tuple[type[AssayError], str], ...] = (
    (NotFound, "not_found"),
    (Conflict, "conflict"),
    (Invalid, "invalid"),
    (Unavailable, "store_unavailable"),
)
_BY_STATUS = {
    404: "unknown_route",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
}
_OWN_MEMBERS = frozenset({"error", "code", "request_id", "details", "type", "title", "status", "detail"})
_PROBLEM_JSON = "application/problem+json"
_RETRY_AFTER_SECS = "1"


def status_of(error: AssayError) -> tuple[int, str]:
    """Give the HTTP status and the title of a refusal."""
    known = CODES.get(error.code)
    if known is not None:
        return known
    kind = next((code for kind, code in _BY_KIND if isinstance(error, kind)), "internal")
    return CODES[kind]


def refusal(error: AssayError) -> dict[str, Any]:
    """Describe the refusal of one item among several: `error`, `code` and what the refusal names."""
    return {**error.told(), "error": _text(error)}


def answer(error: Exception) -> Response:
    """Answer a request that ended with `error`. For Flask's `register_error_handler`."""
    if isinstance(error, AssayError):
        status, title = status_of(error)
        if status == CODES["internal"][0]:
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
            return _problem(*CODES["invalid_path"], "invalid_path", problem, {})
        text = f"not found: there is no {paths.as_sent(request.path)[:200]}"
    else:
        text = error.description or error.name
    response = _problem(status, CODES[code][1] if status in _BY_STATUS else error.name, code, text, {})
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _unexpected(error: Exception) -> Response:
    log.error(
        "request failed method=%s route=%s request_id=%s", request.method, request.url_rule, request_id(),
        exc_info=error,
    )  # fmt: skip
    text = "something went wrong here; the server's log has more under this request_id"
    return _problem(*CODES["internal"], "internal", text, {})


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
    if status == 503:
        response.headers["Retry-After"] = _RETRY_AFTER_SECS
    return response


def _text(error: AssayError) -> str:
    text = error.message
    if isinstance(error, NotFound) and not text.startswith("not found: "):
        return f"not found: {text}"
    return text
