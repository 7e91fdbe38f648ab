"""A page: as many rows as were asked for, or as many as fit into four megabytes.

Rows carry payloads of up to two megabytes each, so a page is fetched in pieces sized by the rows seen so far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

PAGE_BYTES = 4 * 1024 * 1024
FIRST_PIECE = 64  # rows, before anything is known of their size

Row = TypeVar("Row")


def size_of(*texts: str | None) -> int:
    """Count the bytes of texts."""
    return sum((len(text) if text.isascii() else len(text.encode())) for text in texts if text is not None)


def filled(
    fetch: Callable[[Row | None, int], list[Row]], size: Callable[[Row], int], limit: int
) -> tuple[list[Row], bool]:
    """Give the rows of one page, at least one where there is any, and whether more follow.

    `fetch` gives up to so many rows after the given one, in order.
    """
    rows: list[Row] = []
    used = 0
    piece = FIRST_PIECE
    while True:
        wanted = min(limit + 1 - len(rows), piece)
        found = fetch(rows[-1] if rows else None, wanted)
        for row in found:
            used += size(row)
            if rows and (used > PAGE_BYTES or len(rows) == limit):
                return rows, True
            rows.append(row)
        if len(found) < wanted:
            return rows, False
        piece = max(1, (PAGE_BYTES - used) * len(rows) // max(used, 1))
