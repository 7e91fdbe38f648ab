"""What answers hold: the members that clients count on, and the one shape of a refusal. More may come with them."""

from __future__ import annotations

from typing import Any

import requests

STARTED = {"workflow_id", "run_id", "status"}
DONE = {"ok", "run_id"}
RUN = {
    "id", "namespace", "run_id", "workflow_type", "task_queue", "status", "input", "result", "error", "parent_id",
    "claimed_by", "search_attributes", "archived_at", "archive_uri", "created_at", "updated_at", "completed_at",
}  # fmt: skip
TREE = {*RUN, "children", "truncated"}
EVENT = {"id", "workflow_id", "seq", "event_type", "payload", "timestamp"}
ACTIVITY = {
    "id", "workflow_id", "seq", "name", "task_queue", "input", "status", "result", "error", "attempt", "max_attempts",
    "initial_interval_secs", "backoff_coefficient", "start_to_close_secs", "heartbeat_timeout_secs", "claimed_by",
    "scheduled_at", "started_at", "completed_at", "last_heartbeat",
}  # fmt: skip
TURN = {"workflow_id", "namespace", "workflow_type", "task_queue", "input", "history"}
BEATEN = {"ok", "cancel_requested", "lease_expires_at"}
LEASE = {"task_token", "lease_expires_at", "attempt"}
WORKER = {
    "id", "namespace", "identity", "task_queue", "workflows", "activities", "max_concurrent_workflows",
    "max_concurrent_activities", "active_tasks", "last_heartbeat", "registered_at",
}  # fmt: skip
SCHEDULE = {
    "name", "namespace", "workflow_type", "cron_expr", "timezone", "input", "task_queue", "overlap_policy", "paused",
    "last_run_at", "next_run_at", "last_workflow_id", "created_at",
}  # fmt: skip
NAMESPACE = {"name", "created_at"}
STATS = {"namespace", "total_workflows", "running", "pending", "completed", "failed", "schedules", "workers"}
API_KEY = {"prefix", "label", "created_at", "roles", "namespaces", "expires_at", "last_used_at"}
QUEUE = {"queue", "pending_activities", "running_activities", "workers"}
BACKLOG = {"queue", "workers", "silent_workers", "unpolled_secs", "waiting", "failing"}
NOTICES = {"events", "cursor", "reset", "more", "retry_after"}
EXCHANGED = {"results", "workflow_tasks", "activity_tasks", "heartbeats", "retry_after", "drain"}

REFUSAL = {"error", "code", "request_id", "details", "type", "title", "status", "detail"}
PROBLEM = "application/problem+json"


def holds(answer: requests.Response, members: set[str]) -> None:
    """Assert that an answer is an object with these members, or a list of such."""
    found = answer.json()
    assert found != [], "an empty list shows no shape"
    for one in found if isinstance(found, list) else [found]:
        assert members <= set(one), f"missing: {members - set(one)}"


def refused(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that a request was refused, in the one shape that every refusal has. Answers its body."""
    assert answer.headers["Content-Type"] in ("application/json", PROBLEM), answer.text[:500]
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert set(body) >= REFUSAL
    assert body["status"] == status
    assert body["error"] == body["detail"] != ""
    assert body["type"] == f"urn:assay:error:{code}"
    assert body["title"] != ""
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert all(set(detail) - {"position"} == {"field", "issue"} for detail in body["details"])
    if status == 404:
        assert body["error"].startswith("not found: ")
    for secret in ("Traceback", "SELECT ", "INSERT ", "psycopg", "sqlite3", ".py"):
        assert secret not in answer.text
    return body
