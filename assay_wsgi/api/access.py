"""Who calls, what that caller may do, and where: asked before each view, in this one place.

A route declares the access that it needs. A caller without it is refused before the body is read. A caller who
has it in some namespaces only is kept to them: what the request names as its namespace must be one of these, and
where it names none, these are where things are looked for. So a view never sees more than its caller may.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import cast
from urllib.parse import urlsplit

from flask import request

from ..auth.door import ANYBODY
from ..auth.principal import Principal
from ..auth.roles import EVERYWHERE
from ..auth.roles import ONLY_EVERYWHERE
from ..auth.roles import Access
from ..auth.roles import roles_with
from ..domain.errors import AssayError
from ..domain.errors import Forbidden
from ..domain.errors import InvalidToken
from ..domain.errors import NotFound
from ..domain.keys import masked
from ..domain.model import Deed
from ..domain.requests import Where
from ..engine.acting import Actor
from ..engine.acting import acting
from ..settings import is_loopback
from . import browsers
from .connections import client_gone
from .context import door
from .context import engine
from .context import own_hosts
from .context import request_id
from .context import settings
from .paths import as_sent

if TYPE_CHECKING:
    from .contract import Operation

log = logging.getLogger(__name__)

_CALLER = "assay_wsgi.caller"
_STILL_GOOD = "assay_wsgi.still_good"
TICKET = "ticket"  # the parameter of a query
_NOT_NEAR = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_ORIGIN")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_TARGET_CHARS = 600
_AUDITED = frozenset({Access.OPERATE, Access.MANAGE, Access.GOVERN})
_HOT = frozenset({Access.READ, Access.OPERATE, Access.WORK})  # where nobody is named unless it matters


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent this request, and where that caller may do what it asks for."""

    principal: Principal
    access: Access
    reach: frozenset[str] | None  # None = everywhere

    @property
    def known_as(self) -> str | None:
        """The caller's name, where callers are asked for it."""
        return None if self.principal is ANYBODY else self.principal.name

    def own(self, named: str | None) -> Where:
        """Keep a namespace that a request names, or none, to where the caller may do this.

        Raises NotFound for one that is not the caller's, whether it is there or not; Forbidden for one in which the
        caller has other roles only.
        """
        if self.reach is None:
            return named
        if named is None:
            return self.reach
        if named in self.reach:
            return named
        if named in self.principal.roles or EVERYWHERE in self.principal.roles:
            raise Forbidden(f"in namespace {named} this needs {_roles(self.access)}")
        mine = ", ".join(sorted(self.principal.roles)) or "none"
        raise NotFound(f"not found: namespace {named} (yours: {mine})", code="namespace_not_found")


def caller() -> Caller:
    """Give the caller of this request."""
    return cast(Caller, request.environ[_CALLER])


def enter(operation: Operation) -> None:
    """Let the caller of this request in. Raises WrongHost, Unauthorized, RateLimited, Forbidden, Unavailable."""
    hosts = own_hosts()
    if hosts is not None:
        browsers.refuse(request.environ, hosts)
    if operation.access is Access.PUBLIC:
        request.environ[_CALLER] = Caller(ANYBODY, operation.access, None)
        return
    principal = None
    try:
        address, token = request.remote_addr or "", _bearer_token()
        if operation.by_ticket and token is None and TICKET in request.args:
            principal, request.environ[_STILL_GOOD] = door().redeem(request.args[TICKET], address=address)
        else:
            principal = door().admit(token, address=address, founding=operation.founds, near=_is_near(address))
        request.environ[_CALLER] = _admitted(principal, operation)
    except AssayError as error:
        _note_refusal(principal, error)
        raise


def caller_gone() -> Callable[[], bool] | None:
    """Give what says whether this request's caller has left, or would not be let in any more: for who waits long.

    None where nobody can know the one and the other cannot be.
    """
    left = client_gone()
    if not door().asks:
        return left
    good = request.environ.get(_STILL_GOOD) or door().watch(_bearer_token())
    return lambda: (left is not None and left()) or not good()


def ticket() -> str:
    """Make a ticket that stands for this request's credential once. Raises Unavailable."""
    return door().ticket(_bearer_token(), caller().principal)


def narrow(operation: Operation, given: dict[str, Any]) -> None:
    """Keep what a request names, now that it is read, to what is its caller's. Raises NotFound, Forbidden."""
    body, query = given.get("body") or {}, given.get("query") or {}
    if operation.with_token is not None:
        _with_token(operation, operation.with_token, body.get("task_token") is not None)
    own = caller().own
    if operation.namespace_in_path is not None:
        own(given[operation.namespace_in_path])
    elif body.get("namespace") is not None or ("namespace" in body and "namespace" not in query):
        body["namespace"] = own(body["namespace"])
    elif "namespace" in query:
        query["namespace"] = own(query["namespace"])


@contextmanager
def on_behalf(given: dict[str, Any]) -> Iterator[None]:
    """Have what the block does done on the caller's behalf, and what is refused to it noted."""
    here = caller()
    audited = _is_audited(here)
    makes_namespaces = here.principal.reach(Access.GOVERN) is None
    if makes_namespaces and not audited and here.access in _HOT:
        yield
        return
    actor = Actor(
        name=here.principal.name, action=_action(), namespace=_named(given), target=_target(),
        request_id=request_id(), audited=audited, makes_namespaces=makes_namespaces,
    )  # fmt: skip
    try:
        with acting(actor):
            yield
    except AssayError as error:
        if audited:
            _note(here.principal.name, error.code, actor.namespace)
        raise


def _admitted(principal: Principal, operation: Operation) -> Caller:
    """Make the principal this request's caller. Raises Forbidden."""
    for access in (operation.access, operation.with_token):
        if access is not None:
            reach = principal.reach(access)
            if reach is None or reach:
                return Caller(principal, access, reach)
    raise _forbidden(operation.access)


def _with_token(operation: Operation, instead: Access, has_token: bool) -> None:
    """Let who has a task's token act wherever it may work, and nobody by that access without one."""
    here = caller()
    if has_token:
        own, more = here.principal.reach(operation.access), here.principal.reach(instead)
        reach = None if own is None or more is None else own | more
        request.environ[_CALLER] = Caller(here.principal, here.access, reach)
    elif here.access is not operation.access:
        raise _forbidden(operation.access)


def _forbidden(access: Access) -> Forbidden:
    return Forbidden(f"this needs {_roles(access)}")


def _roles(access: Access) -> str:
    names = " or ".join(roles_with(access))
    return f"the role {names} in all namespaces" if access in ONLY_EVERYWHERE else f"the role {names}"


# ------------------------------------------------------------------------------------------- the request


def _bearer_token() -> str | None:
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _is_near(address: str) -> bool:
    """Say whether a program on this host sent the request: no proxy for somebody else, and no page in a browser.

    A page names its Origin, and one whose name was made to lead here names itself as the Host.
    """
    host = urlsplit(f"//{request.host}").hostname or ""
    return is_loopback(address) and is_loopback(host) and not any(name in request.environ for name in _NOT_NEAR)


def _action() -> str:
    return (request.endpoint or "").removeprefix("assay_").replace(".", "_")


def _target() -> str | None:
    """Name what the path names. Nobody may have checked that yet: PostgreSQL takes no NUL, and it may hold a key."""
    told = " ".join(as_sent(str(value)) for value in (request.view_args or {}).values())
    return _CONTROL.sub("\ufffd", masked(told))[:_MAX_TARGET_CHARS] or None


def _named(given: dict[str, Any]) -> str | None:
    for part in (given.get("body"), given.get("query")):
        name = (part or {}).get("namespace")
        if isinstance(name, str):
            return name
    return None


# ----------------------------------------------------------------------------------------- the audit log


def _is_audited(here: Caller) -> bool:
    return here.access in _AUDITED and request.method != "GET" and (door().asks or settings().auth.audit_anonymous)


def _note_refusal(principal: Principal | None, error: AssayError) -> None:
    if isinstance(error, InvalidToken):  # which is not said to who sent it
        log.info("a token was refused reason=%s request_id=%s", error.message, request_id())
    if principal is not None:
        _note(principal.name, error.code, None)
    elif door().asks and door().notes_strangers():
        _note(f"unknown@{request.remote_addr}", error.code, None)


def _note(who: str, outcome: str, namespace: str | None) -> None:
    core = engine()
    core.note_refusal(Deed(core.store.now_here(), who, _action(), namespace, _target(), outcome, request_id()))
