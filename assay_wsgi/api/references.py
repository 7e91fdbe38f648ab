"""How a request says which thing it means: namespace, run, activity; and where a list goes on."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote
from urllib.parse import urlencode

from flask import request

from ..domain.errors import NotFound
from ..domain.requests import RunRef
from . import checks
from .fields import Checked
from .fields import ListQuery
from .fields import Query
from .fields import query_integer
from .paths import SLASH

MAX_PAGE = 1000
MAX_OFFSET = 2**62
_KEY_DIGITS = 18
IN_NAMESPACE = "In which namespace; without it, in whichever has one."
WHICH_RUN = "Which run of the id; without it, the newest."

Id = partial(Checked, checks.identifier)


class InNamespace(Query):
    """In which namespace; without it, whichever."""

    namespace = Id(load_default=None, says=IN_NAMESPACE)


class OneRun(InNamespace):
    """Which run of an id, in which namespace."""

    run_id = Id(checks.MAX_RUN_ID_CHARS, load_default=None, says=WHICH_RUN)


class PartQuery(ListQuery):
    """Which part of a short list."""

    namespace = Id(load_default=None, says="Accepted everywhere.")
    limit = Checked(query_integer, 1, MAX_PAGE, load_default=MAX_PAGE, says="How many at most.")
    offset = Checked(query_integer, 0, MAX_OFFSET, load_default=0, says="How many to leave out.")


def run_ref(workflow_id: str, query: dict[str, Any]) -> RunRef:
    """Name a run by its path and its query."""
    return RunRef(workflow_id=workflow_id, namespace=query["namespace"], run_id=query["run_id"])


def activity_key(activity_id: str) -> int:
    """Read an activity's id from a path. Raises NotFound: no other id names one."""
    if not (activity_id.isascii() and activity_id.isdigit() and len(activity_id) <= _KEY_DIGITS):
        raise NotFound(f"not found: activity {activity_id[:200]}")
    return int(activity_id)


def next_page(**changed: Any) -> dict[str, str]:
    """Give the Link header to the next page: this request, with other parameters (None = without it)."""
    kept = [(name, value) for name, value in request.args.items() if name not in changed]
    query = urlencode([*kept, *((name, value) for name, value in changed.items() if value is not None)])
    path = quote(request.script_root + request.path, safe="/").replace(quote(SLASH), "%2F")
    return {"Link": f'<{path}?{query}>; rel="next"'}
