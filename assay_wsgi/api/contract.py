"""`@operation`: read, check, call the view, write the answer; and remember what was declared."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from functools import wraps
from hashlib import blake2b
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
from . import paths
from .context import admission
from .fields import load
from .fields import single

View = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and gives."""

    body: Schema | None
    query: Schema | None
    returns: type[Schema] | None
    status: int
    many: bool = False  # an array of `returns`
    instead: tuple[Any, ...] = ()  # values that are answered where there is nothing to return
    also: tuple[int, ...] = ()  # other statuses of the same answer
    refuses: tuple[str, ...] = ()  # codes of refusals that are this route's own
    names: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # variables of the path: words and an example
    example: Any = None  # a body, for people
    asks: Mapping[str, Any] = field(default_factory=dict)  # a query, for people
    keyed: bool = False  # takes an Idempotency-Key
    tagged: bool = False  # carries an ETag


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
    many: bool = False,
    instead: tuple[Any, ...] = (),
    also: tuple[int, ...] = (),
    refuses: tuple[str, ...] = (),
    names: Mapping[str, tuple[str, str]] | None = None,
    example: Any = None,
    asks: Mapping[str, Any] | None = None,
    tagged: bool = False,
) -> Callable[[View], Callable[..., Response]]:
    """Declare what a view takes (`body`, `query`, `raw` = the body's bytes) and gives: a value, or an Answer.

    What is `tagged` carries an ETag, and is not sent again to a client that has it. `refuses` names the codes that
    not every route has; `names` says what the path's variables are; `example` and `asks` show a body and a query.
    The view computes in one of the process's slots. The body is read before: a slow client holds none.
    """

    def declare(view: View) -> Callable[..., Response]:
        takes_raw = "raw" in signature(view).parameters
        declared = Operation(
            body=None if body is None else body(),
            query=None if query is None else query(),
            returns=returns,
            status=status,
            many=many,
            instead=instead,
            also=also,
            refuses=refuses,
            names=names or {},
            example=example,
            asks=asks or {},
            keyed=takes_raw,  # nothing but the key's hash needs the bytes
            tagged=tagged,
        )

        @wraps(view)
        def answer(**given: Any) -> Response:
            raw = b"" if declared.body is None else bodies.read_bytes(request)
            with admission().computing:
                for name, value in given.items():
                    given[name] = _path_id(name, value)
                if declared.body is not None:
                    given["body"] = load(declared.body, bodies.parse_object(raw))
                if declared.query is not None:
                    given["query"] = load(declared.query, single(request.args), pointers=False)
                if takes_raw:
                    given["raw"] = raw
                value = view(**given)
                if not isinstance(value, Answer):
                    value = Answer(value, declared.status)
                response = _json(value.value, value.status, value.headers)
                return _unless_known(response) if tagged else response

        answer.operation = declared  # type: ignore[attr-defined]  # read by whoever describes the API
        return answer

    return declare


def _path_id(name: str, value: str) -> str:
    if not value.isprintable() or "\ufffd" in value:
        problem = paths.fault(value, request.environ["PATH_INFO"])
        if problem is not None:
            raise Invalid(problem, code="invalid_path")
        value = paths.as_sent(value)
    try:
        return checks.identifier(value)
    except checks.BadValue as error:
        raise error.at(name).refusal() from error


def _unless_known(response: Response) -> Response:
    """Tag an answer with a hash of itself; 304 for a client that has just that."""
    if response.status_code != 200:
        return response
    tag = blake2b(response.get_data(), digest_size=12).hexdigest()
    response.set_etag(tag, weak=True)
    if request.if_none_match.contains_weak(tag):
        response.status_code = 304
        response.set_data(b"")
        del response.headers["Content-Type"], response.headers["Content-Length"]
    return response


def _json(value: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    try:
        written = orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits
        written = jsontext.dumps(value).encode()
    return Response(written, status, headers, content_type="application/json")
