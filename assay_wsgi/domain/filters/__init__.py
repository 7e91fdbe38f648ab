"""The filter language: which runs a search finds, said as a text that is read once and never becomes SQL.

`terms` is what a filter says, `words` and `grammar` read one. The store turns the terms into a query.
"""

from __future__ import annotations

from .grammar import MAX_CHARS
from .grammar import parse
from .search import GROUPS
from .search import Search
from .search import search_of
from .terms import FIELDS
from .terms import NEWEST_FIRST
from .terms import STATUSES
from .terms import All
from .terms import Condition
from .terms import Either
from .terms import Field
from .terms import Kind
from .terms import Order
from .terms import Scalar
from .terms import Test

__all__ = [
    "FIELDS",
    "GROUPS",
    "MAX_CHARS",
    "NEWEST_FIRST",
    "STATUSES",
    "All",
    "Condition",
    "Either",
    "Field",
    "Kind",
    "Order",
    "Scalar",
    "Search",
    "Test",
    "parse",
    "search_of",
]
