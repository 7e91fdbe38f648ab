"""Spans of time, and moments, as user code gives them."""

from __future__ import annotations

import math
from datetime import datetime
from datetime import timedelta
from typing import Union

Duration = Union[float, timedelta]  # a number is seconds


def seconds(duration: Duration) -> float:
    """Return a span as seconds; one that is over already is none. Raises ValueError for what has no end."""
    span = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if not math.isfinite(span):
        raise ValueError(f"a duration must be finite, not {span}")
    return max(0.0, span)


def since_the_epoch(name: str, moment: Union[float, datetime]) -> float:
    """Return a moment as seconds since the epoch. Raises ValueError for a datetime without a zone."""
    if not isinstance(moment, datetime):
        return moment
    if moment.utcoffset() is None:
        raise ValueError(f"{name}: {moment} has no time zone: say datetime(..., tzinfo=timezone.utc)")
    return moment.timestamp()
