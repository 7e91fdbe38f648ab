"""`@operation`: read, check, call the view, write the answer; and remember what was declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any

import orjson
from flask import Response
from flask import request
from marshmallow import Schema

from .. import jsontext
from ..domain.errors import Invalid
from . import bodies
from . import checks
from .context import admission
from .fields import load

View = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and gives."""

    body: Schema | None
    query: Schema | None
    returns: type[Schema] | None
    status: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A view's answer where it is not just a value."""

    value: Any
    status: int
    headers: dict[str, str] | None = None


def operation(
    *,
    body: type[Schema] | None = None,
    query: type[Schema] | None = None,
    returns: type[Schema] | None = None,
    status: int = 200,
) -> Callable[[View], Callable[..., Response]]:
    """Declare what a view takes (`body`, `query`, `raw` = the body's bytes) and gives: a value, or an Answer.

    The view computes in one of the process's slots. The body is read before: a slow client holds none.
    """
    declared = Operation(
        body=None if body is None else body(),
        query=None if query is None else query(),
        returns=returns,
        status=status,
    )

    def declare(view: View) -> Callable[..., Response]:
        takes_raw = "raw" in signature(view).parameters

        @wraps(view)
        def answer(**given: Any) -> Response:
            raw = b"" if declared.body is None else bodies.read_bytes(request)
            with admission().computing:
                for name, value in given.items():
                    given[name] = _path_id(name, value)
                if declared.body is not None:
                    given["body"] = load(declared.body, bodies.parse_object(raw))
                if declared.query is not None:
                    given["query"] = load(declared.query, request.args, pointers=False)
                if takes_raw:
                    given["raw"] = raw
                value = view(**given)
                if not isinstance(value, Answer):
                    return _json(value, declared.status)
                return _json(value.value, value.status, value.headers)

        answer.operation = declared  # type: ignore[attr-defined]  # read by whoever describes the API
        return answer

    return declare


def _path_id(name: str, value: str) -> str:
    if "\ufffd" in value:
        _refuse_broken_path()
    try:
        return checks.identifier(value)
    except checks.BadValue as error:
        if error.code == "control_character":
            raise Invalid("the path holds a control character", code="invalid_path") from error
        raise error.at(name).refusal() from error


def _refuse_broken_path() -> None:
    """Tell a U+FFFD that was sent from one that stands for bytes that are not UTF-8."""
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeError as error:
        raise Invalid("the path is not UTF-8", code="invalid_path") from error


def _json(value: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    try:
        written = orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits
        written = jsontext.dumps(value).encode()
    return Response(written, status, headers, content_type="application/json")
