"""A search: the filters of a list and the filter language, as one condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import Invalid
from ..requests import ListFilter
from .grammar import parse
from .terms import FIELDS
from .terms import NEWEST_FIRST
from .terms import STATUSES
from .terms import Condition
from .terms import Order
from .terms import Test
from .terms import attribute
from .terms import both

GROUPS = ("status", "type", "queue", "close_reason", "day")  # by what runs are counted; days are those of UTC

_EQUAL = {
    "workflow_type": "WorkflowType",
    "status": "Status",
    "claimed_by": "ClaimedBy",
    "parent_id": "ParentId",
}
_RANGES = {
    "created_after": ("StartTime", ">"),
    "created_before": ("StartTime", "<"),
    "closed_after": ("CloseTime", ">"),
    "closed_before": ("CloseTime", "<"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which runs are wanted, and which part of them."""

    namespace: str
    condition: Condition
    order: Order = NEWEST_FIRST
    chain: int | None = None  # children of this chain alone
    limit: int = 50
    offset: int = 0
    cursor: str | None = None


def search_of(wanted: ListFilter) -> Search:
    """Give the search that a list's filters ask for. Raises Invalid."""
    if wanted.status is not None and wanted.status not in STATUSES:
        raise Invalid(f"status: must be one of {', '.join(STATUSES)}", code="invalid_filter")
    conditions: list[Condition] = list(_tests(wanted))
    order = NEWEST_FIRST
    if wanted.q is not None:
        condition, order = parse(wanted.q)
        conditions.append(condition)
    if wanted.offset and order != NEWEST_FIRST:
        raise Invalid("offset: goes with the order newest first alone; follow the cursor", code="invalid_filter")
    return Search(
        namespace=wanted.namespace, condition=both(conditions), order=order, chain=wanted.parent_chain_key,
        limit=wanted.limit, offset=wanted.offset, cursor=wanted.cursor,
    )  # fmt: skip


def _tests(wanted: ListFilter) -> Iterator[Test]:
    for name, field in _EQUAL.items():
        if (value := getattr(wanted, name)) is not None:
            yield Test(FIELDS[field], "=", (value,))
    for name, (field, sign) in _RANGES.items():
        if (value := getattr(wanted, name)) is not None:
            yield Test(FIELDS[field], sign, (value,))
    for key, value in (wanted.search_attrs or {}).items():
        yield Test(attribute(key), "=", (value,))
