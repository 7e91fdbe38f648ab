"""Rows that have served are removed, in bounded passes."""

from __future__ import annotations

from collections.abc import Callable

from ..settings import EngineSettings
from . import feed
from .connection import Connection

PASS = 1000  # rows
_RETIRED_KEPT_SECS = 7 * 86_400.0
TICKS_KEPT_SECS = 7 * 86_400.0
_UNIT_KEPT_SECS = 86_400.0  # an idle connection whose row is gone makes itself another


def answers(db: Connection, now: float, _: EngineSettings) -> int:
    """Remove stored answers past their time."""
    return db.run(
        "DELETE FROM idempotency_keys WHERE (scope, key) IN "
        "(SELECT scope, key FROM idempotency_keys WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
        (now, PASS),
    )


def notices(db: Connection, now: float, settings: EngineSettings) -> int:
    """Remove notices that nobody can ask for any more: the oldest ids first."""
    return feed.prune(db, now - settings.notice_keep_secs, PASS)


def deeds(db: Connection, now: float, settings: EngineSettings) -> int:
    """Remove lines of the audit log past their time: the oldest ids first."""
    return db.run(
        "DELETE FROM audit_log WHERE at <= ? AND id IN (SELECT id FROM audit_log ORDER BY id LIMIT ?)",
        (now - settings.audit_keep_secs, PASS),
    )


def keys(db: Connection, now: float, settings: EngineSettings) -> int:
    """Forget keys that opened no door for as long as the audit log is kept."""
    return db.run(
        "DELETE FROM api_keys WHERE revoked_at <= ? OR expires_at <= ?",
        (now - settings.audit_keep_secs, now - settings.audit_keep_secs),
    )


def tickets(db: Connection, now: float, _: EngineSettings) -> int:
    """Remove tickets that nobody has used."""
    return db.run("DELETE FROM tickets WHERE expires_at <= ?", (now,))


def units(db: Connection, now: float, _: EngineSettings) -> int:
    """Remove the rows of connections that have not written for a day."""
    return db.run("DELETE FROM units WHERE used_at <= ?", (now - _UNIT_KEPT_SECS,))


def workers(db: Connection, now: float, _: EngineSettings) -> int:
    """Forget workers that were retired a week ago. Until then a retired one that comes back keeps to its namespace."""
    return db.run(
        "DELETE FROM workflow_workers WHERE (namespace, worker_id) IN "
        "(SELECT namespace, worker_id FROM workflow_workers WHERE retired_at <= ? LIMIT ?)",
        (now - _RETIRED_KEPT_SECS, PASS),
    )


def ticks(db: Connection, now: float, _: EngineSettings) -> int:
    """Forget what became of ticks a week ago. None of them can come again: their schedule is beyond them."""
    return db.run(
        "DELETE FROM schedule_runs WHERE (schedule_key, tick) IN (SELECT schedule_key, tick FROM schedule_runs "
        "WHERE state <> 'buffered' AND queued_at <= ? ORDER BY queued_at LIMIT ?) AND state <> 'buffered'",
        (now - TICKS_KEPT_SECS, PASS),
    )


DUTIES: tuple[Callable[[Connection, float, EngineSettings], int], ...] = (
    answers, notices, deeds, keys, tickets, units, workers, ticks,
)  # fmt: skip
