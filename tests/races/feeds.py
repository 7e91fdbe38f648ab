"""Races about the feed: two writers, one of them slow, and a reader that goes on from its cursor.

Each function runs its race and gives what went wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from assay_wsgi.engine import Engine
from tests.engine.following import kept
from tests.engine.following import now
from tests.engine.following import payload
from tests.engine.stories import rows

from . import racer
from .contest import Contest
from .contest import act


def a_reader_between_two_commits(contest: Contest) -> list[str]:
    """One has written its notice and not committed; another has committed a later one; somebody reads in between."""
    with contest.engine():
        pass
    with contest.rivals() as (slow, swift):
        slow.does("hold_at", place=racer.NOTED)
        slow.begins("start", workflow_id="slow")
        assert slow.is_held()
        swift.does("start", workflow_id="swift")
        _, page = swift.does("read_feed", after="oldest")
        slow.goes_on()
        slow.answers()
        told = [*page["events"], *_the_rest(swift, page["cursor"], 2 - len(page["events"]))]
    return _faults(told, ["slow", "swift"])


def readers_beside_writers(contest: Contest, times: int) -> list[str]:
    """Both processes start and end runs with many clients, while one follows from the beginning on."""
    with contest.engine():
        pass
    names = [[f"{process}-{client}" for client in range(4)] for process in "ab"]
    clients = [
        [
            [
                act(does, workflow_id=f"{name}-{time}")
                for time in range(times)
                for does in ("start", "signal", "terminate")
            ]
            for name in each
        ]
        for each in names
    ]
    ids = [f"{name}-{time}" for each in names for name in each for time in range(times)]
    with contest.engine() as engine, ThreadPoolExecutor() as threads, contest.rivals() as (one, two):
        following = threads.submit(_followed, engine, 3 * len(ids))
        contest.storm(one, two, (clients[0], clients[1]))
        told = following.result()
        now(engine)
        stored = [notice["id"] for notice in kept(engine)]
        ((count,),) = rows(engine, "SELECT COUNT(*) FROM notices")
    faults = _faults(told, [workflow_id for workflow_id in ids for _ in range(3)])
    if [notice["id"] for notice in told] != stored or len(stored) != count:
        faults.append(f"told {len(told)}, in pages {len(stored)}, there are {count}, or in another order")
    types: dict[str, list[str]] = {}
    for notice in told:
        types.setdefault(payload(notice)["run_id"], []).append(notice["event_type"])
    expected = ["workflow_started", "signal_received", "workflow_terminated"]
    return faults + [f"{run_id}: {order}" for run_id, order in types.items() if order != expected]


def _followed(engine: Engine, count: int) -> list[dict[str, Any]]:
    following = engine.feed.follow("oldest")
    told = [next(following) for _ in range(count)]
    following.close()
    return told


def _the_rest(rival: Any, after: str, count: int) -> list[dict[str, Any]]:
    """Wait for so many notices more; where they never come, for one wait."""
    _, page = rival.does("read_feed", after=after, wait_secs=1.0 if count else 0.0)
    told: list[dict[str, Any]] = page["events"]
    return told + (_the_rest(rival, page["cursor"], count - len(told)) if told and len(told) < count else [])


def _faults(told: Sequence[dict[str, Any]], expected: Sequence[str]) -> list[str]:
    counted = Counter(notice["workflow_id"] for notice in told)
    never = Counter(expected) - counted
    repeated = counted - Counter(expected)
    return [f"never told: {name}" for name in never] + [f"told again: {name}" for name in repeated]
