"""When a failed attempt of an activity is made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict
from typing import Union

from .durations import Duration
from .errors import ApplicationError
from .errors import type_name

JITTER = 0.2  # the share of a back-off that chance may take away, unless said otherwise


@dataclass(frozen=True)
class Retry:
    """When a failed attempt is made again: after `initial`, then `backoff` times longer each time.

    `max_attempts=0` never gives up. `initial` and `max_interval` are seconds or a timedelta. `non_retryable`
    holds exception classes and type names.
    """

    max_attempts: int = 3
    initial: Duration = 1.0
    backoff: float = 2.0
    max_interval: Duration | None = None  # None = 100 times initial
    non_retryable: tuple[Union[type, str], ...] = ()
    jitter: float = JITTER

    def forbids(self, error: BaseException) -> bool:
        """Say whether `error` must not be tried again; subclasses count as their parents do."""
        if isinstance(error, ApplicationError) and (error.non_retryable or error.type in self.non_retryable):
            return True
        return any(
            kind in self.non_retryable or kind.__name__ in self.non_retryable or type_name(kind) in self.non_retryable
            for kind in type(error).__mro__
        )

    def names(self) -> list[str]:
        """Return the non-retryable types as the wire wants them: qualified and bare."""
        names: dict[str, None] = {}
        for entry in self.non_retryable:
            for name in (entry,) if isinstance(entry, str) else (type_name(entry), entry.__name__):
                names[name] = None
        return list(names)


class RetryChanges(TypedDict, total=False):
    """Fields of a Retry to change, as `activity.options(retry={...})` takes them."""

    max_attempts: int
    initial: Duration
    backoff: float
    max_interval: Duration | None
    non_retryable: tuple[Union[type, str], ...]
    jitter: float
