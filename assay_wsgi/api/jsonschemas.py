"""What the functions of `checks` and its like let pass, as JSON Schema: for the description of the API.

What no schema can say (2 MB of payload, 1.0 is no integer, `.` is no id) stands in `description`.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from ..domain import filters
from ..domain.notices import NOTICES
from ..domain.requests import ROLES
from . import checks
from . import commands
from . import exchange
from . import feeds
from . import fields
from . import keys
from .fields import Checked

Json = dict[str, Any]

# What `checks.identifier` refuses, in the first plane; the first and the last character are no spaces either.
_HIDDEN = (
    r"\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ufdd0-\ufdef\ufffe\uffff"
)
_NAME = f"^[^ {_HIDDEN}]([^{_HIDDEN}]*[^ {_HIDDEN}])?$"
_ATTRIBUTE_KEY = "^[A-Za-z_][A-Za-z0-9_.:-]{0,63}$"
_NOTHING: Json = {"type": "array", "maxItems": 0}


def schema_of(field: Checked) -> Json:
    """Describe what a field takes, null aside. Raises KeyError for a check that has no entry here."""
    return described(field.check, field.bounds)


def described(check: Callable[..., Any], bounds: tuple[Any, ...]) -> Json:
    """Describe what a check with these bounds lets pass. Raises KeyError for one that has no entry here."""
    bound = signature(check).bind(None, *bounds)
    bound.apply_defaults()
    _, *given = bound.arguments.values()
    return DESCRIBED[check](*given)


def name(limit: int = checks.MAX_ID_CHARS) -> Json:
    """Describe an id or a name; the usual one stands in the components of a document, under `Name`."""
    return {"$ref": "#/components/schemas/Name"} if limit == checks.MAX_ID_CHARS else _name(limit)


def _name(limit: int) -> Json:
    return {"type": "string", "minLength": 1, "maxLength": limit, "pattern": _NAME, "not": {"enum": [".", ".."]}}


def _text(limit: int) -> Json:
    return {"type": "string", "maxLength": limit, "pattern": r"^[^\u0000]*$"}


def _report() -> Json:
    return {"type": "string", "description": "Cut where it is long; NUL is replaced."}


def _token() -> Json:
    return {"type": "string", "maxLength": checks.MAX_TOKEN_CHARS}


def _anything() -> Json:
    return {}


def _integer(low: int, high: int) -> Json:
    return {"type": "integer", "minimum": low, "maximum": high}


def _number(low: float, high: float) -> Json:
    return {"type": "number", "minimum": low, "maximum": high}


def _boolean() -> Json:
    return {"type": "boolean"}


def _choice(choices: tuple[str, ...], _: str) -> Json:
    return {"type": "string", "enum": list(choices)}


def _items(limit: int) -> Json:
    return {"type": "array", "maxItems": limit}


def _members() -> Json:
    return {"anyOf": [{"type": "object"}, _NOTHING]}


def _payload() -> Json:
    return {"description": f"Any JSON of at most {checks.MAX_PAYLOAD_BYTES:,} bytes."}


def _attributes() -> Json:
    value = {"type": ["string", "number", "boolean", "null"], "maxLength": checks.MAX_ATTRIBUTE_BYTES}
    flat = {
        "type": "object",
        "propertyNames": {"pattern": _ATTRIBUTE_KEY},
        "maxProperties": checks.MAX_ATTRIBUTES,
        "additionalProperties": value,
        "description": f"At most {checks.MAX_ATTRIBUTES_BYTES} bytes in all; integers of up to 64 bits.",
    }
    return {"anyOf": [flat, _NOTHING]}


def _names() -> Json:
    return {**_items(exchange.MAX_TYPES), "items": name()}


def _roles() -> Json:
    return {**_items(len(ROLES)), "items": {"type": "string", "enum": list(ROLES)}}


def _error_types() -> Json:
    return {**_items(commands.MAX_ERROR_TYPES), "items": name()}


def _seqs() -> Json:
    return {**_items(commands.MAX_UNREAD), "items": _integer(1, checks.MAX_INTEGER)}


def _numbers() -> Json:
    return {**_items(exchange.MAX_LOST), "items": _integer(0, exchange.MAX_EXCHANGES)}


def _with_tokens() -> Json:
    item = {"type": "object", "required": ["task_token"], "properties": {"task_token": {"type": "string"}}}
    return {**_items(exchange.MAX_RESULTS), "items": item}


def _held_runs() -> Json:
    seqs = _integer(0, checks.MAX_INTEGER)
    held = {"type": "object", "maxProperties": exchange.MAX_CACHED_RUNS, "additionalProperties": seqs}
    return {"anyOf": [held, _NOTHING]}


def _query_time() -> Json:
    return {"type": "number", "minimum": -1e12, "maximum": 1e12, "description": "Seconds since the epoch."}


def _notice_types() -> Json:
    one = "|".join(NOTICES)
    return {"type": "string", "pattern": f"^({one})(,({one}))*$"}


def _cursor_text() -> Json:
    return {"type": "string", "maxLength": feeds.MAX_CURSOR_CHARS}


def _query_attributes() -> Json:
    return _attributes()


def _query_filter() -> Json:
    return {"type": "string", "maxLength": filters.MAX_CHARS}


COMPONENTS: dict[str, Json] = {"Name": _name(checks.MAX_ID_CHARS)}

DESCRIBED: dict[Callable[..., Any], Callable[..., Json]] = {
    checks.identifier: name,
    checks.text: _text,
    checks.report: _report,
    checks.token: _token,
    checks.anything: _anything,
    checks.integer: _integer,
    checks.number: _number,
    checks.boolean: _boolean,
    checks.choice: _choice,
    checks.items: _items,
    checks.members: _members,
    checks.payload: _payload,
    checks.attributes: _attributes,
    commands.error_types: _error_types,
    commands.seqs: _seqs,
    exchange.names: _names,
    exchange.numbers: _numbers,
    exchange.with_tokens: _with_tokens,
    exchange.held_runs: _held_runs,
    keys.roles: _roles,
    feeds.notice_types: _notice_types,
    feeds.cursor_text: _cursor_text,
    fields.query_integer: _integer,
    fields.query_boolean: _boolean,
    fields.query_time: _query_time,
    fields.query_attributes: _query_attributes,
    fields.query_filter: _query_filter,
}
