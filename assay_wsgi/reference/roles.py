"""docs/reference/roles.md: who may call which route, read off the table of roles and the routes' declarations."""

from __future__ import annotations

from ..auth.roles import ALLOWS
from ..auth.roles import ONLY_EVERYWHERE
from ..auth.roles import Access
from ..domain.requests import ROLES
from .markdown import code
from .markdown import head
from .markdown import table
from .routes import Json
from .routes import described

_INTRO = """
A caller has roles: in one namespace, in some, or in all.
An API key has the same roles in each of its namespaces; a token of an issuer may have others in each.
[Lock the door](../how-to/lock-the-door.md) says how callers get them.

| role | may |
| --- | --- |
| `viewer` | look at runs, activities, workers and queues |
| `worker` | take tasks and report on them, and nothing else: what it sees of runs is what its tasks bring |
| `operator` | what a viewer may; start, signal, cancel and end runs |
| `admin` | what an operator may; make and end API keys, read the audit log. In all namespaces also: make and delete namespaces |

An admin takes no tasks, unless it is a worker as well. Where nobody is asked who they are, everybody is everything.

- What is in a namespace that is not the caller's is not there: 404, the same answer as for a thing that does not exist.
- A request that names such a namespace is answered 404 `namespace_not_found`, whether there is one or not.
- A request that names no namespace looks in those of the caller. A start, a list, a worker that names none means `main`.
- A caller that has not the role is answered 403 `insufficient_role`, which names the roles that would do; one that nobody knows 401.
- A namespace is made on first use by an admin of all. For others it must be there.

## Routes

✓ = may, in the namespaces in which it has the role.
"""
_COLUMNS = (*((role, f"`{role}`") for role in ROLES),)


def rendered() -> str:
    """The text of the page."""
    return "".join([head("Roles", "the table of roles (assay_wsgi/auth/roles.py)"), _INTRO, "\n", _routes()])


def _routes() -> str:
    rows = [
        (code(f"{method.upper()} {path}"), *_marks(operation))
        for path, methods in described()["paths"].items()
        for method, operation in methods.items()
    ]
    return table(("route", *(title for _, title in _COLUMNS), "`admin` of all"), rows)


def _marks(operation: Json) -> list[str]:
    access = Access(operation["x-access"])
    if access is Access.PUBLIC:
        return ["everybody"] * (len(ROLES) + 1)
    if access is Access.KNOWN:
        return ["✓"] * (len(ROLES) + 1)
    with_token = operation.get("x-access-with-token")
    marks = [_mark(role, access, with_token) for role in ROLES if role != "admin"]
    of_all = _mark("admin", access, with_token)
    return [*marks, "" if access in ONLY_EVERYWHERE else of_all, of_all]


def _mark(role: str, access: Access, with_token: str | None) -> str:
    if access in ALLOWS[role]:
        return "✓"
    return "with a `task_token`" if with_token is not None and Access(with_token) in ALLOWS[role] else ""
