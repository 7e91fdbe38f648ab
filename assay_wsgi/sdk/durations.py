"""Spans of time as user code gives them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Union

Duration = Union[float, timedelta]  # a number is seconds


def seconds(duration: Duration) -> float:
    """Return a span as seconds; one that is over already is none. Raises ValueError for what has no end."""
    span = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if not math.isfinite(span):
        raise ValueError(f"a duration must be finite, not {span}")
    return max(0.0, span)
