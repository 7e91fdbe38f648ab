"""Bytes, for people."""

from __future__ import annotations


def size(count: float) -> str:
    """Write a number of bytes as people read it: 12.3 MB is 12.3 times a million."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
