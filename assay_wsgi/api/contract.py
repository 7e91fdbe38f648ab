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
from ..auth.roles import Access
from ..domain.errors import Invalid
from . import access as entry
from . import bodies
from . import checks
from . import paths
from .context import admission
from .fields import load
from .fields import single

View = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and gives, and whom it is for."""

    access: Access
    body: Schema | None
    query: Schema | None
    returns: type[Schema] | None  # None = no content
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
    with_token: Access | None = None  # the access that is enough for a request with a `task_token`
    namespace_in_path: str | None = None  # the variable of the path that names a namespace
    founds: bool = False  # may make the first API key, with no credential
    media: str = "application/json"
    by_ticket: bool = False  # a ticket in the query stands for a credential


@dataclass(frozen=True, slots=True)
class Answer:
    """A view's answer where it is not just a value."""

    value: Any
    status: int
    headers: dict[str, str] | None = None


def operation(
    *,
    access: Access,
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
    with_token: Access | None = None,
    namespace_in_path: str | None = None,
    founds: bool = False,
    media: str = "application/json",
    by_ticket: bool = False,
) -> Callable[[View], Callable[..., Response]]:
    """Declare what a view takes (`body`, `query`, `raw` = the body's bytes) and gives: a value, an Answer, a Response.

    `access` says whom it is for. A caller who has that in some namespaces only is kept to them by what the request
    names: `namespace` in the body or the query is then one of theirs, or, where it is None by default, all of them
    (see `Where`); so a view that looks at a namespace takes it from there.

    What is `tagged` carries an ETag, and is not sent again to a client that has it. `refuses` names the codes that
    not every route has; `names` says what the path's variables are; `example` and `asks` show a body and a query.
    The view computes in one of the process's slots. The body is read before: a slow client holds none.
    """

    def declare(view: View) -> Callable[..., Response]:
        takes_raw = "raw" in signature(view).parameters
        declared = Operation(
            access=access,
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
            with_token=with_token,
            namespace_in_path=namespace_in_path,
            founds=founds,
            media=media,
            by_ticket=by_ticket,
        )

        @wraps(view)
        def answer(**given: Any) -> Response:
            entry.enter(declared)
            raw = b"" if declared.body is None else bodies.read_bytes(request)
            with admission().computing:
                for name, value in given.items():
                    given[name] = _path_id(name, value)
                if declared.body is not None:
                    given["body"] = load(declared.body, bodies.parse_object(raw))
                if declared.query is not None:
                    asked = single(request.args)
                    if by_ticket:
                        asked = {name: value for name, value in asked.items() if name != entry.TICKET}
                    given["query"] = load(declared.query, asked, pointers=False)
                entry.narrow(declared, given)
                if takes_raw:
                    given["raw"] = raw
                with entry.on_behalf(given):
                    value = view(**given)
                if isinstance(value, Response):
                    return value
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
    if status == 204:
        nothing = Response(status=status, headers=headers)
        del nothing.headers["Content-Type"]
        return nothing
    try:
        written = orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits
        written = jsontext.dumps(value).encode()
    return Response(written, status, headers, content_type="application/json")
