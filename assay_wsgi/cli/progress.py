"""A line on a terminal that says how far something long has come; nothing anywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_QUIET_SECS = 0.5  # what ends sooner needs no such line
_BETWEEN_SECS = 0.1


class Progress:
    """Shown on standard error, if that is a terminal: `with Progress() as progress: progress("copying", 3, 10)`."""

    def __init__(self, quiet_secs: float = _QUIET_SECS) -> None:
        self._shown = sys.stderr.isatty()
        self._due = time.monotonic() + quiet_secs
        self._dirty = False

    def __call__(self, what: str, done: int | None = None, whole: int | None = None) -> None:
        """Say how far it is, not too often."""
        if not self._shown or time.monotonic() < self._due:
            return
        share = f" {100 * done // whole} %" if done is not None and whole else ""
        sys.stderr.write(f"\r\x1b[K{what}{share}")
        sys.stderr.flush()
        self._dirty = True
        self._due = time.monotonic() + _BETWEEN_SECS

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._dirty:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
