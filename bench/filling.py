"""Fills a database with runs, as fast as it takes rows: bulk SQL into the schema as it is. fsck finds nothing.

A closed run has one activity and four events. Of the open ones every second is ready for a worker, the others wait
for a signal. Each has three search attributes: one that all share, one that half of them do, one of ten runs.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

from .databases import Reader

PIECE = 50_000  # runs in one transaction
TYPES, QUEUES, PER_CUSTOMER, PER_FAILED = 10, 5, 10, 20
BEGAN = 1_700_000_000  # the first run; the others follow each 0.1 s


def _modulo(by: int) -> str:
    """Write the remainder without a sign that a driver would read as a mark."""
    return f"(i - i / {by} * {by})"


_RUN_ID = "'run-w' || i || '-' || i"
_AT = f"({BEGAN} + i * 0.1)"
_TYPE = f"'Type' || {_modulo(TYPES)}"
_QUEUE = f"'queue' || {_modulo(QUEUES)}"
_CUSTOMER = f"('c-' || (i / {PER_CUSTOMER}))"
_READY = f"{_modulo(2)} = 0"
_ENV = f"CASE WHEN {_READY} THEN 'prod' ELSE 'test' END"
_FAILED = f"{_modulo(PER_FAILED)} = 0"
_INPUT = """'{"n":' || i || '}'"""
_ATTRIBUTES = f"""'{{"assay_engine_version":"0.1","customer":"' || {_CUSTOMER} || '","env":"' || {_ENV} || '"}}'"""
_WAITS = """'[{"kind":"signal","name":"go","since":1700000000.0}]'"""
_FALSE = "1 = 0"

Columns = dict[str, str]  # column -> what it is of run `i`

_RUN: Columns = {
    "run_key": "i", "namespace": "'main'", "workflow_id": "'w' || i", "run_id": _RUN_ID, "workflow_type": _TYPE,
    "task_queue": _QUEUE, "input": _INPUT, "search_attributes": _ATTRIBUTES, "priority": "0", "first_run_key": "i",
    "first_run_id": _RUN_ID, "has_children": _FALSE, "signal_seq": "0", "feed_mark": "0", "cancel_seq": "0",
    "created_at": _AT,
}  # fmt: skip
_CLOSED_RUN: Columns = {
    **_RUN, "status": f"CASE WHEN {_FAILED} THEN 'FAILED' ELSE 'COMPLETED' END", "last_seq": "4", "wake_seq": "3",
    "close_reason": f"CASE WHEN {_FAILED} THEN 'failed' ELSE 'completed' END", "seen_seq": "3",
    "result": f"CASE WHEN {_FAILED} THEN NULL ELSE '7' END",
    "error": f"CASE WHEN {_FAILED} THEN 'out of stock' ELSE NULL END", "updated_at": f"{_AT} + 5",
    "completed_at": f"{_AT} + 5",
}  # fmt: skip
_OPEN_RUN: Columns = {
    **_RUN, "status": f"CASE WHEN {_READY} THEN 'PENDING' ELSE 'RUNNING' END", "last_seq": "1", "wake_seq": "1",
    "seen_seq": _modulo(2), "waiting_for": f"CASE WHEN {_READY} THEN NULL ELSE {_WAITS} END", "updated_at": _AT,
}  # fmt: skip
_ACTIVITY: Columns = {
    "activity_key": "-i", "run_key": "i", "seq": "1", "namespace": "'main'", "task_queue": _QUEUE, "name": "'charge'",
    "priority": "0", "input": "'{}'", "status": "'COMPLETED'", "result": "'7'", "attempt": "1", "max_attempts": "3",
    "initial_interval_secs": "1.0", "backoff_coefficient": "2.0", "jitter": "0.2", "visible_at": _AT,
    "cancel_requested": _FALSE, "scheduled_at": _AT, "started_at": _AT, "completed_at": f"{_AT} + 4",
}  # fmt: skip
_EVENT: Columns = {
    "run_key": "i", "seq": "e.seq", "event_type": "e.kind", "ref_seq": "e.ref", "payload": "e.payload",
    "timestamp": f"{_AT} + e.seq - 1",
}  # fmt: skip
_STARTED = "SELECT 1 AS seq, 'WorkflowStarted' AS kind, CAST(NULL AS integer) AS ref, '{}' AS payload"
_HISTORY = (
    f"{_STARTED} UNION ALL SELECT 2, 'ActivityScheduled', 1, '{{}}' UNION ALL SELECT 3, 'ActivityCompleted', 1, '{{}}' "
    "UNION ALL SELECT 4, 'WorkflowCompleted', NULL, 'null'"
)
_CLOSING: Columns = {**_EVENT, "event_type": f"CASE WHEN e.seq = 4 AND {_FAILED} THEN 'WorkflowFailed' ELSE e.kind END"}
_TASK: Columns = {
    "run_key": "i", "namespace": "'main'", "task_queue": _QUEUE, "workflow_type": _TYPE, "priority": "0",
    "ready_at": _AT, "paused": _FALSE, "attempt": "0", "closes_refused": "0",
}  # fmt: skip
_ATTRIBUTE: Columns = {
    "run_key": "i", "name": "a.name", "namespace": "'main'", "value": "'s' || a.value", "rest": "''", "created_at": _AT,
}  # fmt: skip
_VALUES = (
    "SELECT i, 'assay_engine_version' AS name, '0.1' AS value FROM n "
    f"UNION ALL SELECT i, 'customer', {_CUSTOMER} FROM n UNION ALL SELECT i, 'env', {_ENV} FROM n"
)


def fill(url: str, *, closed: int, open_runs: int, tell: Callable[[int], None] = lambda _done: None) -> None:
    """Put runs into a database that holds the schema and no runs; a planner's statistics are made, too."""
    reader = Reader(url)
    try:
        for low, high in _pieces(1, closed):
            reader.together(_of_closed(low, high))
            tell(high)
        for low, high in _pieces(closed + 1, closed + open_runs):
            reader.together(_of_open(low, high))
            tell(high)
        reader.together([f"UPDATE key_blocks SET next_key = {closed + open_runs + 1}"])
        reader.settle()
    finally:
        reader.close()


def _pieces(low: int, high: int) -> Iterator[tuple[int, int]]:
    for at in range(low, high + 1, PIECE):
        yield at, min(at + PIECE - 1, high)


def _of_closed(low: int, high: int) -> Iterator[str]:
    yield _insert("workflows", _CLOSED_RUN, low, high)
    yield _insert("workflow_activities", _ACTIVITY, low, high)
    yield _insert("workflow_events", _CLOSING, low, high, f"n CROSS JOIN ({_HISTORY}) e")
    yield _insert("workflow_attributes", _ATTRIBUTE, low, high, f"({_VALUES}) a")


def _of_open(low: int, high: int) -> Iterator[str]:
    yield _insert("workflows", _OPEN_RUN, low, high)
    yield _insert("workflow_events", _EVENT, low, high, f"n CROSS JOIN ({_STARTED}) e")
    yield _insert("workflow_tasks", _TASK, low, high, f"n WHERE {_READY}")
    yield _insert("workflow_attributes", _ATTRIBUTE, low, high, f"({_VALUES}) a")


def _insert(table: str, columns: Columns, low: int, high: int, source: str = "n") -> str:
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"WITH RECURSIVE n(i) AS (SELECT {low} UNION ALL SELECT i + 1 FROM n WHERE i < {high}) "
        f"SELECT {', '.join(columns.values())} FROM {source}"
    )
