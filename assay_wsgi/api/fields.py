"""Marshmallow fields over `checks`: for bodies (JSON values) and for queries (text)."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import ClassVar

from marshmallow import EXCLUDE
from marshmallow import RAISE
from marshmallow import Schema
from marshmallow import ValidationError
from marshmallow import fields
from werkzeug.datastructures import MultiDict

from ..domain.errors import Invalid
from . import bodies
from . import checks
from .checks import BadValue

Field = fields.Field[Any]

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?")
_UNKNOWN = "unknown_field"


_MESSAGES: dict[str, str | list[Any] | dict[Any, Any]] = {
    "required": "missing_field: is missing",
    "null": "missing_field: must not be null",
}


class Checked(Field):
    """A value that one function checks. null counts as absent where the field is not required. `says` is for people."""

    def __init__(self, check: Callable[..., Any], *bounds: Any, says: str = "", **options: Any) -> None:
        super().__init__(
            allow_none=not options.get("required", False),
            error_messages=_MESSAGES,
            metadata={"description": says} if says else {},
            **options,
        )
        self.check = check
        self.bounds = bounds

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        """Give the checked value, or the default for null."""
        if value is None and not self.required:
            return self.load_default
        return super().deserialize(value, attr, data, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        try:
            return self.check(value, *self.bounds)
        except BadValue as error:
            raise ValidationError([error]) from error


class Body(Schema):
    """A request's body. Fields that nobody declared are ignored, as the reference ignores them."""

    at_least_one: ClassVar[tuple[str, ...]] = ()  # of these must be there; the view sees to it

    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "invalid_type: must be an object"}  # noqa: RUF012  (marshmallow reads it)


class Query(Schema):
    """A query string on a thing: parameters that nobody declared are ignored."""

    class Meta:
        unknown = EXCLUDE


class ListQuery(Schema):
    """A query string on a list: a parameter that nobody declared is refused, since it was meant to narrow."""

    class Meta:
        unknown = RAISE

    error_messages = {"unknown": f"{_UNKNOWN}: no such parameter"}  # noqa: RUF012  (marshmallow reads it)


def query_integer(text: str, low: int = 0, high: int = checks.MAX_INTEGER) -> int:
    """Read a whole number from a query."""
    if _INTEGER.fullmatch(text) is None:
        raise BadValue("out_of_range", f"must be a whole number, {low} to {high}")
    return checks.integer(int(text), low, high)


def query_boolean(text: str) -> bool:
    """Read a truth value from a query."""
    if text not in ("true", "false"):
        raise BadValue("invalid_filter", "must be true or false")
    return text == "true"


def query_time(text: str) -> float:
    """Read seconds since the epoch from a query."""
    if _NUMBER.fullmatch(text) is None:
        raise BadValue("invalid_filter", "must be seconds since the epoch")
    return checks.number(float(text), -1e12, 1e12)


def query_attributes(text: str) -> dict[str, Any]:
    """Read the JSON object that search attributes are compared with."""
    try:
        value = bodies.parse(text.encode())
    except Invalid as error:
        raise BadValue("invalid_filter", f"must be a JSON object: {error.message}") from error
    try:
        return checks.attributes(value)
    except BadValue as error:
        raise BadValue("invalid_filter", error.text, error.path) from error


def query_filter(text: str) -> str:
    """Take a filter as it is: the engine reads it, for embedders too."""
    return text


def single(args: MultiDict[str, str]) -> Mapping[str, str]:
    """Give a query's parameters. Raises Invalid for one that is there twice: one of the two would be ignored."""
    if len(args) != len(list(args.items(multi=True))):
        names = [name for name, values in args.lists() if len(values) > 1]
        details = [{"field": name, "issue": "repeated"} for name in names]
        raise Invalid(f"{names[0][:200]}: is there more than once", code="invalid_filter", details=details)
    return args


def load(schema: Schema, given: Mapping[str, Any], *, pointers: bool = True) -> Any:
    """Load what a request brought. Raises Invalid, naming every field that will not do.

    Fields of bodies are named by JSON pointer, parameters of queries by name.
    """
    try:
        return schema.load(given)
    except ValidationError as error:
        raise _refusal(error, "/" if pointers else "") from error


def _refusal(error: ValidationError, mark: str) -> Invalid:
    found = list(_flat(error.messages, ""))
    field, first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    details = [{"field": mark + name if name else "", "issue": issue.code} for name, issue in found]
    code = "invalid_filter" if first.code == _UNKNOWN else first.code
    named = f"{field[:200]}: " if field else ""
    return Invalid(f"{named}{first.text}{more}", code=code, details=details)


def _flat(messages: Any, path: str) -> list[tuple[str, BadValue]]:
    if isinstance(messages, dict):
        return [
            found
            for name, below in messages.items()
            for found in _flat(below, path if name == "_schema" else f"{path}/{name}".lstrip("/"))
        ]
    return [_issue(message, path) for message in messages]


def _issue(message: Any, path: str) -> tuple[str, BadValue]:
    if isinstance(message, BadValue):
        return path + message.path, message
    code, _, text = str(message).partition(": ")
    return path, BadValue(code, text)
