"""Each check of fsck finds an offender that was planted, and a healthy database has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assay_wsgi.store import fsck
from assay_wsgi.store.connection import Connection
from assay_wsgi.store.store import Store
from tests.databases import PostgresServer

NOW = 1_700_000_000.0
LATER = NOW + 100.0

(
    PENDING, PARKED, LEASED, DONE, FAILED, CANCELLED, TERMINATED, TIMED_OUT, CONTINUED, NEXT, ARCHIVED, PAUSED,
    FATHER, HEIR, CHILD, BROTHER, DEAD, ORPHAN, CANCELLED_ORPHAN,
) = range(1, 20)  # fmt: skip
NIGHTLY, RESTING = 50, 51  # schedules: one whose run is PARKED, and one that is paused
ACTIVITY, TIMER = 100, 200  # the key of a run's n-th activity is 100 x run + n


@dataclass(frozen=True)
class Plant:
    """An offender, and the check that must find it."""

    name: str
    sql: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


A_KEY = (  # with its end, and its successor
    "INSERT INTO api_keys (key_hash, prefix, roles, created_by, created_at, expires_at, replaced_by) "
    f"VALUES ('h', 'mine', '[]', 'me', {NOW}, %s)"
)
FALSE = "(1 = 0)"  # in both databases


def plant(name: str, *sql: str) -> Plant:
    """Give statements that make an offender."""
    return Plant(name, sql)


def event(run: int, seq: int, event_type: str, ref_seq: int | None = None) -> str:
    """Append an event to a healthy run, whose counter goes along."""
    ref = "NULL" if ref_seq is None else ref_seq
    return f"INSERT INTO workflow_events VALUES ({run}, {seq}, '{event_type}', {ref}, NULL, {LATER})"


def run_set(run: int, settings: str) -> str:
    """Change a run."""
    return f"UPDATE workflows SET {settings} WHERE run_key = {run}"


def activity_set(seq: int, settings: str) -> str:
    """Change an activity of the parked run."""
    return f"UPDATE workflow_activities SET {settings} WHERE run_key = {PARKED} AND seq = {seq}"


def schedule_set(schedule: int, settings: str) -> str:
    """Change a schedule."""
    return f"UPDATE workflow_schedules SET {settings} WHERE schedule_key = {schedule}"


def tick(secs: int, state: str, run: int | None = None, schedule: int = NIGHTLY) -> str:
    """Add a tick."""
    run_key, policy = ("NULL", "NULL") if run is None else (run, "'skip'")
    reason = "'overlap'" if state == "skipped" else "NULL"
    return (
        f"INSERT INTO schedule_runs VALUES ({schedule}, {NOW + secs}, '{state}', 'cron', {policy}, {reason}, "
        f"{run_key}, {NOW})"
    )


A_POLLING_WORKER = (
    "INSERT INTO workflow_workers (namespace, worker_id, identity, task_queue, max_concurrent_workflows, "
    f"max_concurrent_activities, last_seen, registered_at) VALUES ('other', '%s', 'me', 'q', 1, 1, {NOW}, {NOW})"
)
PLANTS = (
    plant("history_gapless", f"DELETE FROM workflow_events WHERE run_key = {PARKED} AND seq = 4"),
    plant("history_gapless", run_set(PARKED, "last_seq = last_seq + 1")),
    plant("history_gapless", f"DELETE FROM workflow_events WHERE run_key = {PENDING}"),
    plant("history_begins", event(PENDING, 2, "WorkflowStarted")),
    plant(
        "history_begins",
        f"UPDATE workflow_events SET event_type = 'SignalReceived' WHERE run_key = {PENDING} AND seq = 1",
    ),
    plant("history_time", f"UPDATE workflow_events SET timestamp = 1 WHERE run_key = {PARKED} AND seq = 3"),
    plant("updated_at", run_set(PARKED, f"updated_at = {NOW}")),
    plant("terminal_event", run_set(PARKED, f"status = 'FAILED', completed_at = {NOW}")),
    plant("terminal_event", event(PENDING, 2, "WorkflowFailed")),
    plant(
        "terminal_event",
        "DROP INDEX workflow_events_terminal",
        event(DONE, 9, "WorkflowCompleted"),
    ),
    plant("terminal_last", event(DONE, 9, "TimerCancelled", 1), run_set(DONE, "last_seq = 9")),
    plant("terminal_type", run_set(DONE, "status = 'FAILED'")),
    plant("terminal_type", run_set(TERMINATED, "close_reason = 'failed'")),
    plant("terminal_type", run_set(CANCELLED, "close_reason = NULL")),
    plant("recorded_once", "DROP INDEX workflow_events_recorded", event(PARKED, 20, "SideEffectRecorded", 1)),
    plant(
        "recorded_once",
        "DROP INDEX workflow_events_recorded",
        event(PARKED, 20, "SearchAttributesUpserted", 1),
    ),
    plant("recorded_once", event(PARKED, 20, "SideEffectRecorded")),
    plant("cancel_once", event(CANCELLED, 9, "WorkflowCancelRequested")),
    plant("cancel_once", run_set(CANCELLED, "cancel_requested_at = NULL")),
    plant("cancel_once", run_set(CANCELLED, "cancel_seq = 0")),
    plant("run_status", run_set(PARKED, "status = 'WAITING'")),
    plant("closed_fields", run_set(DONE, "completed_at = NULL")),
    plant("closed_fields", run_set(PARKED, f"completed_at = {NOW}")),
    plant("closed_fields", run_set(PARKED, "close_reason = 'completed'")),
    plant("closed_deadline", run_set(DONE, f"deadline_at = {NOW}")),
    plant("one_open_run", "DROP INDEX workflows_open_id", run_set(PENDING, f"workflow_id = 'run {PARKED}'")),
    plant("pending_seen", run_set(PENDING, "seen_seq = 1")),
    plant("counters", run_set(PARKED, "wake_seq = last_seq + 1")),
    plant("counters", run_set(PENDING, "wake_seq = 0")),
    plant("counters", run_set(PARKED, "seen_seq = last_seq + 1")),
    plant("counters", run_set(DONE, "signal_seq = last_seq + 1")),
    plant("signal_seq", run_set(PARKED, "signal_seq = 1")),
    plant("signal_seq", run_set(PENDING, "signal_seq = 1")),
    plant("chain", run_set(NEXT, "continued_from = NULL")),
    plant("chain", run_set(NEXT, f"first_run_key = {NEXT}")),
    plant("continued", run_set(CONTINUED, "continued_to = NULL")),
    plant("continued", run_set(DONE, "continued_to = 'run 7'")),
    plant("chain_links", run_set(CONTINUED, "continued_to = 'run 1'")),
    plant("chain_links", run_set(NEXT, "continued_from = 'run 1'")),
    plant("chain_links", run_set(HEIR, f"continued_from = 'run {CONTINUED}'")),
    plant("chain_links", run_set(NEXT, f"first_run_key = {DONE}")),
    plant("chain_links", run_set(NEXT, "namespace = 'other'")),
    plant("chain_links", run_set(NEXT, f"parent_key = {PARKED}, parent_chain_key = {PARKED}")),
    plant("carried_signals", f"DELETE FROM workflow_signals WHERE run_key = {NEXT} AND event_seq = 3"),
    plant("carried_signals", f"UPDATE workflow_signals SET name = 'other' WHERE run_key = {NEXT}"),
    plant("run_deadline", run_set(PARKED, f"run_deadline_at = {LATER}")),
    plant("run_deadline", run_set(PARKED, f"deadline_at = {LATER}, chain_deadline_at = {LATER - 1}")),
    plant("run_deadline", run_set(PARKED, f"deadline_at = {LATER}")),
    plant("run_deadline", run_set(CANCELLED_ORPHAN, "deadline_at = NULL")),
    plant("child_namespace", run_set(CHILD, "namespace = 'other'")),
    plant("child_link", run_set(CHILD, "parent_chain_key = NULL")),
    plant("child_link", run_set(CHILD, "parent_key = NULL")),
    plant("child_link", run_set(CHILD, "parent_close = NULL")),
    plant("child_link", run_set(CHILD, f"parent_chain_key = {DEAD}")),
    plant("child_started", run_set(BROTHER, "child_command = 1")),
    plant("child_started", run_set(BROTHER, f"parent_key = {DEAD}, parent_chain_key = {DEAD}")),
    plant("child_told", f"UPDATE workflow_events SET event_type = 'TimerCancelled' WHERE run_key = {HEIR} AND seq = 2"),
    plant("child_told", event(HEIR, 20, "ChildWorkflowFailed")),
    plant("child_told", run_set(BROTHER, f"status = 'FAILED', close_reason = 'failed', completed_at = {NOW}")),
    plant("child_left_open", "DELETE FROM followups"),
    plant("child_left_open", run_set(CANCELLED_ORPHAN, "cancel_requested_at = NULL"), "DELETE FROM followups"),
    plant("child_left_open", run_set(DEAD, "close_reason = 'terminated'"), "DELETE FROM followups"),
    plant("has_children", run_set(FATHER, f"has_children = {FALSE}")),
    plant("has_children", run_set(HEIR, f"has_children = {FALSE}")),
    plant("followup_chain", "UPDATE followups SET run_key = 99"),
    plant("archived", run_set(ARCHIVED, "archive_uri = NULL")),
    plant("archived", run_set(PARKED, f"archived_at = {NOW}, archive_uri = 's3://a'")),
    plant("archive_job", "UPDATE archive_jobs SET verified_at = NULL"),
    plant("archive_job", "UPDATE archive_jobs SET last_seq = 1"),
    plant("snapshot_seq", "UPDATE workflow_snapshots SET event_seq = 99"),
    plant("wake_behind", run_set(PARKED, "wake_seq = 2")),
    plant("lost_wakeup", run_set(PARKED, "seen_seq = 3")),
    plant("lost_wakeup", f"DELETE FROM workflow_tasks WHERE run_key = {PENDING}"),
    plant("parked_untold", run_set(PARKED, "waiting_for = NULL")),
    plant("task_of_closed_run", f"UPDATE workflow_tasks SET run_key = {DONE} WHERE run_key = {PENDING}"),
    plant("task_lease", f"UPDATE workflow_tasks SET owner = 'w' WHERE run_key = {PENDING}"),
    plant("task_lease", f"UPDATE workflow_tasks SET deadline_at = NULL WHERE run_key = {LEASED}"),
    plant("task_claim", f"UPDATE workflow_tasks SET claimed_seq = 99 WHERE run_key = {LEASED}"),
    plant("task_claim", run_set(LEASED, "status = 'PENDING', seen_seq = 0")),
    plant("task_copy", f"UPDATE workflow_tasks SET task_queue = 'other' WHERE run_key = {PENDING}"),
    plant("task_copy", f"UPDATE workflow_tasks SET workflow_type = 'other' WHERE run_key = {PENDING}"),
    plant("task_copy", f"UPDATE workflow_tasks SET namespace = 'other' WHERE run_key = {PENDING}"),
    plant("task_paused", run_set(PAUSED, "paused = NULL")),
    plant("task_paused", run_set(PENDING, "paused = '{}'")),
    plant("activity_status", activity_set(1, "status = 'LOST'")),
    plant("activity_events", activity_set(1, f"status = 'COMPLETED', completed_at = {NOW}")),
    plant("activity_events", activity_set(4, "status = 'FAILED'")),
    plant("activity_events", event(PARKED, 20, "ActivityCompleted", 4)),
    plant("activity_events", event(PARKED, 20, "ActivityScheduled", 1)),
    plant("activity_events", event(PARKED, 20, "ActivityCancelled", 1)),
    plant("cancelled_untold", activity_set(1, f"status = 'CANCELLED', completed_at = {NOW}, deadline_at = NULL")),
    plant("cancelled_untold", f"UPDATE workflow_timers SET status = 'CANCELLED' WHERE run_key = {PARKED} AND seq = 1"),
    plant("activity_of_event", event(PARKED, 20, "ActivityFailed", 9)),
    plant("activity_of_event", event(PARKED, 20, "ActivityFailed")),
    plant("activity_attempt", activity_set(1, "attempt = 4")),
    plant("activity_attempt", activity_set(1, "attempt = 0")),
    plant("activity_lease", activity_set(2, "token = NULL")),
    plant("activity_lease", activity_set(2, "started_at = visible_at - 1")),
    plant("activity_deadline", activity_set(1, f"deadline_at = {NOW}")),
    plant("activity_deadline", activity_set(2, "deadline_at = NULL")),
    plant("activity_deadline", activity_set(4, f"deadline_at = {NOW}")),
    plant("activity_completed_at", activity_set(4, "completed_at = NULL")),
    plant("activity_completed_at", activity_set(1, f"completed_at = {NOW}")),
    plant("activity_namespace", activity_set(1, "namespace = 'other'")),
    plant("failed_attempts", activity_set(3, "attempt = 1")),
    plant("failed_attempts", "UPDATE activity_attempts SET attempt = 7 WHERE attempt = 1"),
    plant("open_below_closed", "UPDATE workflow_timers SET status = 'PENDING' WHERE status = 'CANCELLED'"),
    plant(
        "open_below_closed",
        f"UPDATE workflow_activities SET status = 'PENDING', completed_at = NULL WHERE run_key = {DONE}",
    ),
    plant("timer_status", "UPDATE workflow_timers SET status = 'LOST'"),
    plant("timer_status", "UPDATE workflow_timers SET namespace = 'other'"),
    plant("timer_events", f"UPDATE workflow_timers SET status = 'FIRED' WHERE run_key = {PARKED}"),
    plant("timer_events", "UPDATE workflow_timers SET fire_at = fire_at + 1000 WHERE status = 'FIRED'"),
    plant("timer_events", event(PARKED, 20, "TimerScheduled", 1)),
    plant("timer_of_event", event(PARKED, 20, "TimerFired", 9)),
    plant("signal_of_event", "DELETE FROM workflow_signals"),
    plant("signal_of_event", f"INSERT INTO workflow_signals VALUES ({PARKED}, 1, 'go', NULL, {NOW})"),
    plant(
        "lease_namespace",
        f"UPDATE workflow_tasks SET owner = 'x', session = NULL, exchange = NULL WHERE run_key = {LEASED}",
        A_POLLING_WORKER % "x",
    ),
    plant("lease_namespace", activity_set(2, "owner = 'x'"), A_POLLING_WORKER % "x"),
    plant("meta", "DELETE FROM meta WHERE name = 'epoch'"),
    plant("attributes", run_set(PARKED, """search_attributes = '{"env":"test","n":1}'""")),
    plant("attributes", run_set(PARKED, """search_attributes = '{"env":5,"n":1}'""")),
    plant("attributes", run_set(PARKED, """search_attributes = '{"env":"prod","n":1,"x":1}'""")),
    plant("attributes", run_set(PARKED, "search_attributes = NULL")),
    plant("attributes", "DELETE FROM workflow_attributes WHERE name = 'n'"),
    plant("attributes", "UPDATE workflow_attributes SET created_at = 1"),
    plant("attributes", "UPDATE workflow_attributes SET namespace = 'other'"),
    plant("orphans", f"INSERT INTO workflow_attributes VALUES (99, 'env', 'main', 'sprod', '', {NOW})"),
    plant("orphans", f"INSERT INTO workflow_signals VALUES (99, 1, 'go', NULL, {NOW})"),
    plant("orphans", event(99, 1, "WorkflowStarted")),
    plant("orphans", "UPDATE activity_attempts SET activity_key = 99 WHERE attempt = 2"),
    plant("namespaces", run_set(DONE, "namespace = 'nowhere'")),
    plant("keys", f"UPDATE key_blocks SET next_key = {CANCELLED_ORPHAN}"),
    plant("keys", "DELETE FROM key_blocks"),
    plant("api_keys", A_KEY % "NULL, NULL"),
    *(
        plant("api_keys", "UPDATE meta SET value = '1' WHERE name = 'first_key_made'", A_KEY % rest)
        for rest in (f"{NOW - 1}, NULL", "NULL, 'other'", f"{LATER}, 'mine'")
    ),
    plant("notice_mark", "UPDATE notices SET mark = NULL"),
    plant("overdue_lease", f"UPDATE workflow_tasks SET deadline_at = {NOW - 11} WHERE run_key = {LEASED}"),
    plant("overdue_activity", activity_set(2, f"deadline_at = {NOW - 11}")),
    plant("overdue_timer", f"UPDATE workflow_timers SET fire_at = {NOW - 11} WHERE run_key = {PARKED}"),
    plant("overdue_run", run_set(PARKED, f"deadline_at = {NOW - 11}")),
    plant("overdue_followup", f"UPDATE followups SET due_at = {NOW - 11}"),
    plant("overdue_schedule", schedule_set(NIGHTLY, f"due_at = {NOW - 11}")),
    plant("tick_state", "UPDATE schedule_runs SET state = 'lost' WHERE state = 'skipped'"),
    plant("tick_state", "UPDATE schedule_runs SET origin = 'whim'"),
    plant("tick_state", "UPDATE schedule_runs SET run_key = NULL"),
    plant("tick_state", "UPDATE schedule_runs SET reason = NULL"),
    plant("tick_state", "UPDATE schedule_runs SET overlap_policy = NULL"),
    plant("tick_run", run_set(PARKED, "schedule_key = NULL")),
    plant("tick_run", f"UPDATE schedule_runs SET run_key = {NEXT} WHERE run_key = {PARKED}"),
    plant("tick_run", f"UPDATE schedule_runs SET run_key = {PARKED} WHERE run_key = {DONE}"),
    plant("scheduled_chain", run_set(NEXT, f"schedule_key = {RESTING}")),
    plant("scheduled_chain", run_set(HEIR, "schedule_key = NULL")),
    plant("overlap", run_set(PENDING, f"schedule_key = {NIGHTLY}"), tick(40, "started", PENDING)),
    plant(
        "overlap",
        run_set(FATHER, f"schedule_key = {NIGHTLY}"),
        run_set(HEIR, f"schedule_key = {NIGHTLY}"),
        f"UPDATE schedule_runs SET schedule_key = {NIGHTLY}, tick = {LATER} WHERE run_key = {FATHER}",
    ),
    plant("buffered", schedule_set(NIGHTLY, "buffered = 0")),
    plant("buffered", tick(40, "buffered")),
    plant("buffered", f"DELETE FROM workflow_schedules WHERE schedule_key = {NIGHTLY}"),
    plant("schedule_due", schedule_set(NIGHTLY, "due_at = NULL")),
    plant("schedule_due", schedule_set(NIGHTLY, "due_at = next_run_at + 1")),
    plant("schedule_due", schedule_set(NIGHTLY, "paused = (1 = 1)")),
    plant("schedule_due", schedule_set(NIGHTLY, "paused = (1 = 1), next_run_at = NULL, due_at = NULL")),
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database with runs of every kind, all of them well."""
    server: PostgresServer | None = None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        found = server.database()
    else:
        found = f"sqlite://{tmp_path_factory.mktemp('fsck') / 'assay.db'}"
    store = Store.open(found, clock=lambda: NOW)
    with connected(store) as db:
        db.begin()
        populate(db)
        db.commit()
        db.close()
    store.close()
    yield found
    if server is not None:
        server.drop(found)


@pytest.fixture(scope="module")
def store(url: str) -> Iterator[Store]:
    """A store on the healthy database."""
    opened = Store.open(url, clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def db(store: Store) -> Iterator[Connection]:
    """A connection to the healthy database, in a transaction that is rolled back."""
    opened = Connection(store.dialect, store.dialect.database(None, role="writer"))
    opened.begin()
    yield opened
    opened.rollback()
    opened.close()


def test_a_healthy_database_breaks_no_rule(store: Store) -> None:
    assert fsck.check(store) == []
    assert fsck.check(store, slack_secs=10.0) == []


def test_an_empty_database_breaks_no_rule(tmp_path: Path) -> None:
    for url in ("sqlite://:memory:", f"sqlite://{tmp_path / 'empty.db'}"):
        store = Store.open(url, clock=lambda: NOW)
        assert fsck.check(store, slack_secs=0.0) == []
        assert fsck.check(store) == []
        store.close()


@pytest.mark.parametrize("offender", PLANTS, ids=str)
def test_a_planted_offender_is_found(db: Connection, offender: Plant) -> None:
    for statement in offender.sql:
        db.run(statement)

    found = {finding.name for finding in fsck.examine(db, overdue=NOW - 10)}

    here = any(check.name == offender.name and check.only in (None, db.dialect.name) for check in fsck.CHECKS)
    assert (offender.name in found) is here


def test_each_check_has_a_name_of_its_own_and_an_offender() -> None:
    for here in ("sqlite", "postgres"):
        names = [check.name for check in fsck.CHECKS if check.only in (None, here)]
        assert len(set(names)) == len(names)

    names = [check.name for check in fsck.CHECKS]
    assert {offender.name for offender in PLANTS} == set(names)


def test_a_finding_tells_the_rule_the_first_ten_and_how_many(db: Connection) -> None:
    rows = ", ".join(f"({99 + number}, 1, 'go', NULL, {NOW})" for number in range(25))
    db.run(f"INSERT INTO workflow_signals VALUES {rows}")

    (finding,) = fsck.examine(db)

    assert (finding.name, finding.text) == ("orphans", "what hangs below a run or an activity has it")
    assert finding.count == 25
    assert len(finding.rows) == 10
    assert {kind for _, kind in finding.rows} == {"workflow_signals"}


def test_what_is_overdue_is_looked_for_on_request(db: Connection) -> None:
    db.run(f"UPDATE workflow_tasks SET deadline_at = {NOW - 11} WHERE run_key = {LEASED}")

    assert fsck.examine(db) == []
    assert fsck.examine(db, overdue=NOW - 11) == []
    assert [finding.name for finding in fsck.examine(db, overdue=NOW - 10)] == ["overdue_lease"]


def test_the_check_of_a_store_sees_what_is_committed_and_changes_nothing(tmp_path: Path) -> None:
    store = Store.open(f"sqlite://{tmp_path / 'assay.db'}", clock=lambda: NOW)
    with store.administer() as db:
        db.run("DELETE FROM meta WHERE name = 'epoch'")

    for _ in range(2):
        assert [(finding.name, finding.rows) for finding in fsck.check(store)] == [("meta", (("epoch",),))]
    store.close()


def connected(store: Store) -> Any:
    return store.writer().alone()


def populate(db: Connection) -> None:
    """Write runs of every kind, as the engine would."""
    parked = [
        ("SearchAttributesUpserted", 1), ("SearchAttributesUpserted", None), ("SideEffectRecorded", 1),
        ("ActivityScheduled", 1), ("ActivityScheduled", 2), ("ActivityScheduled", 3), ("ActivityScheduled", 4),
        ("ActivityScheduled", 5), ("TimerScheduled", 1), ("TimerScheduled", 2), ("TimerScheduled", 3),
        ("ActivityCompleted", 4), ("ActivityFailed", 5), ("TimerFired", 2), ("TimerCancelled", 3),
        ("SignalReceived", None), ("WorkflowAwaitingSignal", None),
    ]  # fmt: skip
    add_run(db, PENDING, status="PENDING", seen_seq=0)
    add_run(
        db, PARKED, *parked, wake_seq=17, seen_seq=17, signal_seq=17, waiting_for='[{"kind": "signal"}]',
        search_attributes='{"env":"prod","n":1}',
    )  # fmt: skip
    for name, value in (("env", "sprod"), ("n", "nbff00000000000008000")):
        add(
            db, "workflow_attributes", run_key=PARKED, name=name, namespace="main", value=value, rest="", created_at=NOW
        )
    add_run(db, LEASED, ("SideEffectRecorded", 1), seen_seq=1)
    add_run(
        db, DONE, ("ActivityScheduled", 1), ("TimerScheduled", 1), ("WorkflowCompleted", None),
        status="COMPLETED", close_reason="completed",
    )  # fmt: skip
    add_run(db, FAILED, ("WorkflowFailed", None), status="FAILED", close_reason="failed")
    add_run(
        db, CANCELLED, ("WorkflowCancelRequested", None), ("WorkflowCancelled", None),
        status="CANCELLED", close_reason="cancelled", cancel_requested_at=NOW, cancel_seq=2, wake_seq=2,
        signal_seq=2,
    )  # fmt: skip
    add_run(db, TERMINATED, ("WorkflowTerminated", None), status="FAILED", close_reason="terminated")
    add_run(db, TIMED_OUT, ("WorkflowTimedOut", None), status="TIMED_OUT", close_reason="timed_out")
    signals = [("SignalReceived", None)] * 2
    add_run(
        db, CONTINUED, ("SignalReceived", None), *signals, ("WorkflowContinuedAsNew", None), wake_seq=4, seen_seq=2,
        signal_seq=4, status="COMPLETED", close_reason="continued_as_new", continued_to=f"run {NEXT}",
    )  # fmt: skip
    add_run(
        db, NEXT, *signals, status="PENDING", seen_seq=0, first_run_key=CONTINUED, continued_from=f"run {CONTINUED}",
        wake_seq=3, signal_seq=3,
    )  # fmt: skip
    for run, seq in ((CONTINUED, 2), (CONTINUED, 3), (CONTINUED, 4), (NEXT, 2), (NEXT, 3)):
        add(db, "workflow_signals", run_key=run, event_seq=seq, name="go", received_at=NOW)
    populate_families(db)
    populate_schedules(db)
    add_run(
        db, ARCHIVED, ("ActivityScheduled", 1), ("WorkflowCompleted", None), status="COMPLETED",
        close_reason="completed", archived_at=NOW, archive_uri="s3://bucket/key",
    )  # fmt: skip
    db.run(f"DELETE FROM workflow_events WHERE run_key = {ARCHIVED}")
    add(
        db, "archive_jobs", run_key=ARCHIVED, state="purged", last_seq=3, sha256="0", object_key="k", size=1,
        attempts=1, updated_at=NOW, verified_at=NOW,
    )  # fmt: skip
    add_run(db, PAUSED, paused="{}", seen_seq=0)

    for run in (PENDING, NEXT, PAUSED, HEIR, BROTHER, ORPHAN, CANCELLED_ORPHAN):
        add_task(db, run, paused=run == PAUSED)
    add_task(
        db, LEASED, token="t", owner="w", session="s", exchange=1, claimed_seq=2, deadline_at=NOW + 30,
    )  # fmt: skip

    add_activity(db, PARKED, 1)
    add_activity(
        db, PARKED, 2, status="RUNNING", token="t", owner="w", started_at=NOW, deadline_at=NOW + 300,
    )  # fmt: skip
    add_activity(db, PARKED, 3, attempt=2, token="t", visible_at=NOW + 2)
    add_activity(db, PARKED, 4, status="COMPLETED", attempt=3, token="t", owner="w", completed_at=NOW)
    add_activity(db, PARKED, 5, status="FAILED", attempt=1, max_attempts=1, completed_at=NOW)
    add_activity(db, DONE, 1, status="CANCELLED", completed_at=NOW)
    for seq, attempt in ((3, 1), (4, 1), (4, 2), (5, 1)):
        add(
            db, "activity_attempts", activity_key=PARKED * ACTIVITY + seq, attempt=attempt, run_key=PARKED,
            failed_at=NOW,
        )  # fmt: skip

    add_timer(db, PARKED, 1, "PENDING")
    add_timer(db, PARKED, 2, "FIRED", fire_at=NOW)
    add_timer(db, PARKED, 3, "CANCELLED")
    add_timer(db, DONE, 1, "CANCELLED")
    add(db, "workflow_signals", run_key=PARKED, event_seq=17, name="go", signal_id="s-1", received_at=NOW)
    add(db, "workflow_snapshots", run_key=PARKED, state="{}", event_seq=3, created_at=NOW)
    add(
        db, "notices", mark=7, namespace="main", workflow_id="w", event_type="workflow_started", payload="{}",
        created_at=NOW,
    )  # fmt: skip
    db.run("UPDATE key_blocks SET next_key = 10000")


def populate_families(db: Connection) -> None:
    """Write a chain with one child that has ended and one that has not, and a closed parent of two open ones."""
    started = ("ChildWorkflowStarted", None)
    add_run(
        db, FATHER, started, started, ("WorkflowContinuedAsNew", None), status="COMPLETED", has_children=True,
        close_reason="continued_as_new", continued_to=f"run {HEIR}",
    )  # fmt: skip
    add_run(
        db, HEIR, ("ChildWorkflowCompleted", None), wake_seq=2, has_children=True, first_run_key=FATHER,
        continued_from=f"run {FATHER}",
    )  # fmt: skip
    below: dict[str, Any] = {"parent_key": FATHER, "parent_chain_key": FATHER, "parent_close": "terminate"}
    add_run(
        db, CHILD, ("WorkflowCompleted", None), status="COMPLETED", close_reason="completed", child_command=1, **below
    )  # fmt: skip
    add_run(db, BROTHER, child_command=2, **below)
    add_run(
        db, DEAD, started, started, ("WorkflowCompleted", None), status="COMPLETED", close_reason="completed",
        has_children=True,
    )  # fmt: skip
    below = {"parent_key": DEAD, "parent_chain_key": DEAD}
    add_run(db, ORPHAN, parent_close="terminate", **below)
    add_run(
        db, CANCELLED_ORPHAN, ("WorkflowCancelRequested", None), cancel_requested_at=NOW, deadline_at=NOW + 60.0,
        cancel_seq=2, wake_seq=2, signal_seq=2, parent_close="request_cancel", **below,
    )  # fmt: skip
    add(db, "followups", kind="close_children", run_key=DEAD, due_at=NOW)


def populate_schedules(db: Connection) -> None:
    """Write a schedule at work, whose run is PARKED, and one that is paused, whose chain goes on."""
    for key, paused in ((NIGHTLY, False), (RESTING, True)):
        moment = None if paused else LATER
        add(
            db, "workflow_schedules", schedule_key=key, namespace="main", name=f"s {key}", workflow_type="T",
            cron_expr="@daily", timezone="UTC", task_queue="q", overlap_policy="queue", catchup_window_secs=60.0,
            paused=paused, next_run_at=moment, due_at=moment, buffered=0 if paused else 1, runs_started=2,
            ticks_skipped=1, ticks_missed=0, created_at=NOW, updated_at=NOW,
        )  # fmt: skip
    db.run(run_set(PARKED, f"schedule_key = {NIGHTLY}"))
    db.run(run_set(DONE, f"schedule_key = {NIGHTLY}"))
    db.run(f"UPDATE workflows SET schedule_key = {RESTING} WHERE run_key IN ({FATHER}, {HEIR})")
    for statement in (
        tick(1, "started", DONE), tick(2, "started", PARKED), tick(3, "skipped"), tick(4, "buffered"),
        tick(1, "started", FATHER, RESTING), tick(9, "skipped", schedule=49),  # of one that is gone
    ):  # fmt: skip
        db.run(statement)


def add_run(db: Connection, key: int, *later: tuple[str, int | None], **columns: Any) -> None:
    """Add a run with WorkflowStarted and later events, a second apart."""
    events = [("WorkflowStarted", None), *later]
    at = NOW + len(events) - 1
    closed = columns.get("close_reason") is not None
    add(
        db, "workflows",
        **{
            "run_key": key, "namespace": "main", "workflow_id": f"run {key}", "run_id": f"run {key}",
            "workflow_type": "T", "task_queue": "q", "status": "RUNNING", "priority": 0, "first_run_key": key,
            "first_run_id": f"run {key}", "last_seq": len(events), "wake_seq": 1, "seen_seq": 1, "signal_seq": 0,
            "cancel_seq": 0, "feed_mark": 0, "has_children": False, "created_at": NOW, "updated_at": at,
            "completed_at": at if closed else None, **columns,
        },
    )  # fmt: skip
    for seq, (event_type, ref_seq) in enumerate(events, start=1):
        add(
            db, "workflow_events", run_key=key, seq=seq, event_type=event_type, ref_seq=ref_seq, payload="{}",
            timestamp=NOW + seq - 1,
        )  # fmt: skip


def add_task(db: Connection, run: int, **columns: Any) -> None:
    """Add a task, ready unless told otherwise."""
    add(
        db, "workflow_tasks",
        **{
            "run_key": run, "namespace": "main", "task_queue": "q", "workflow_type": "T", "priority": 0,
            "ready_at": NOW, "paused": False, "attempt": 0, "closes_refused": 0, **columns,
        },
    )  # fmt: skip


def add_activity(db: Connection, run: int, seq: int, **columns: Any) -> None:
    """Add an activity, ready unless told otherwise."""
    add(
        db, "workflow_activities",
        **{
            "activity_key": run * ACTIVITY + seq, "run_key": run, "seq": seq, "namespace": "main", "name": "a",
            "task_queue": "q", "priority": 0, "status": "PENDING", "attempt": 1, "max_attempts": 3,
            "initial_interval_secs": 1.0, "backoff_coefficient": 2.0, "jitter": 0.0, "start_to_close_secs": 300.0,
            "visible_at": NOW, "cancel_requested": False, "scheduled_at": NOW, **columns,
        },
    )  # fmt: skip


def add_timer(db: Connection, run: int, seq: int, status: str, fire_at: float = LATER) -> None:
    """Add a timer."""
    add(
        db, "workflow_timers", run_key=run, seq=seq, timer_key=run * TIMER + seq, namespace="main",
        fire_at=fire_at, status=status, created_at=NOW,
    )  # fmt: skip


def add(db: Connection, table: str, **columns: Any) -> None:
    """Insert a row."""
    marks = ", ".join("?" * len(columns))
    db.run(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", tuple(columns.values()))
