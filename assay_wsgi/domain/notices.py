"""What the feed tells: every type of notice with the members of its payload, and the cursors that lead through them.

A notice is a hint that something happened to a run, for whoever watches; workers live by events, not by notices.
Tests hold this table against what is written. `docs/reference/feed.md` is rendered from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .errors import AssayError
from .errors import Invalid
from .events import TEXT
from .events import TEXT_OR_NULL
from .events import Member
from .requests import Where
from .requests import is_within

LONGEST_ERROR = 2000  # characters of an error in a notice: the run's record has all of it
_LARGEST = 2**63 - 1
_CURSOR = re.compile(r"([0-9a-f]{1,64})-([0-9]{1,19})-([0-9]{1,19})")


class NoticeType(NamedTuple):
    """A type of notice: when it comes, and what its payload has beside the members of ALWAYS."""

    says: str
    members: dict[str, Member]


ALWAYS = {
    "namespace": Member(TEXT, "The run's namespace."),
    "run_id": Member(TEXT, "The run."),
    "at": Member("number", "When it happened, in seconds since the epoch."),
}
_ERROR = {"error": Member(TEXT_OR_NULL, f"Why; the first {LONGEST_ERROR:,} characters of it.", always=False)}

NOTICES: dict[str, NoticeType] = {
    "workflow_started": NoticeType(
        "A run is there: started by somebody, by its parent, or by the run before in its chain.",
        {"workflow_type": Member(TEXT, "Its type.")},
    ),
    "workflow_running": NoticeType("A worker has taken the run for the first time.", {}),
    "schedule_triggered": NoticeType(
        "A schedule has started the run. It comes behind `workflow_started`.",
        {
            "schedule": Member(TEXT, "Its name."),
            "tick": Member("number", "The time that the run is for, in seconds since the epoch."),
            "origin": Member(TEXT, "What brought it about: `cron`, `trigger` or `backfill`."),
        },
    ),
    "signal_received": NoticeType("A signal has come.", {"signal": Member(TEXT, "Its name.")}),
    "workflow_completed": NoticeType("The run has completed.", {}),
    "workflow_failed": NoticeType("The run has failed.", _ERROR),
    "workflow_cancelled": NoticeType("The run was cancelled.", _ERROR),
    "workflow_terminated": NoticeType("The run was terminated.", _ERROR),
    "workflow_timed_out": NoticeType("The run has run out of time.", _ERROR),
    "workflow_continued_as_new": NoticeType("The run has ended, and another goes on in its place.", {}),
}

# What stands in the feed beside notices. No type of notice has one of these names.
RESET = "reset"
DRAIN = "drain"
CURSOR = "cursor"

RESETS = {
    "pruned": "the cursor is older than what is kept",
    "another_database": "the cursor is from before the database was restored, or from another one",
    "set_back": "the cursor is ahead of the database, which must have been set back",
}


class Position(NamedTuple):
    """A place in the feed of one database. Notices come in the order of their positions."""

    mark: int
    id: int


BEGINNING = Position(0, 0)


class Cursor(NamedTuple):
    """A place in the feed that clients keep."""

    epoch: str  # names the database's life: restored from a copy, it has another one
    position: Position

    def __str__(self) -> str:
        return f"{self.epoch}-{self.position.mark}-{self.position.id}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Read what `str` wrote. Raises Invalid."""
        found = _CURSOR.fullmatch(text) if type(text) is str else None
        if found is None or max(int(found[2]), int(found[3])) > _LARGEST:
            raise Invalid("this is no cursor of the feed: take it from a notice, unchanged", code="invalid_cursor")
        return cls(found[1], Position(int(found[2]), int(found[3])))


class CursorLost(AssayError):
    """Nobody can go on from this cursor without a hole. `reason` is one of RESETS."""

    code = "cursor_lost"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{RESETS[reason]}: look at the runs anew, then go on from now", reason=reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which notices somebody wants. None and empty = any."""

    namespace: Where = None
    workflow_id: str | None = None
    types: Sequence[str] = ()

    def takes(self, namespace: str, workflow_id: str, event_type: str) -> bool:
        """Whether such a notice is wanted."""
        return (
            is_within(namespace, self.namespace)
            and self.workflow_id in (None, workflow_id)
            and (not self.types or event_type in self.types)
        )
