"""Error texts are cut to a length that histories and lists can carry; the cut is told, never silent."""

from __future__ import annotations

from typing import Any

AT_MOST = 4096  # characters


def told_error(error: str) -> dict[str, Any]:
    """Give the members of an event that tell an error: `error`, and `truncated` where it was cut."""
    if len(error) <= AT_MOST:
        return {"error": error}
    return {"error": error[:AT_MOST], "truncated": True}
