"""What goes on and on ends with the credential by which it was opened; a ticket opens it where no header can."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from assay_wsgi.auth import keys
from assay_wsgi.engine import Engine
from tests.auth.scenes import ask
from tests.auth.scenes import key
from tests.processes import until

STREAM = "/api/v1/events/stream"


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are looked up each time: how long one is remembered is shown in test_api_keys.py."""
    monkeypatch.setattr(keys, "KNOWN_SECS", 0.0)


@pytest.fixture(autouse=True)
def admin(engine: Engine) -> str:
    """Somebody whose key stays."""
    return key(engine, "admin")


def ticket(client: FlaskClient, credential: str) -> str:
    """Take a ticket."""
    answer = ask(client, "POST", "/api/v1/events/ticket", credential)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["ticket"])


def pieces(answer: Any) -> Iterator[str]:
    """What a stream tells, piece by piece."""
    assert answer.status_code == 200, answer.text
    for piece in answer.response:
        yield piece.decode()


def test_a_ticket_opens_a_stream_once_for_what_its_bearer_may_see(engine: Engine, client: FlaskClient) -> None:
    viewer = key(engine, "viewer", namespaces=("ours",))
    opened = ticket(client, viewer)

    answer = client.get(f"{STREAM}?ticket={opened}", buffered=False)
    told = pieces(answer)
    assert "retry" in next(told)
    assert ": still here" in next(told)
    for namespace in ("theirs", "ours"):
        engine.workflows.start("T", f"of-{namespace}", namespace=namespace)
    first = next(piece for piece in told if "of-" in piece)
    answer.close()

    assert "of-ours" in first
    assert "of-theirs" not in first
    assert client.get(f"{STREAM}?ticket={opened}").status_code == 401


def test_a_ticket_opens_nothing_else(engine: Engine, client: FlaskClient) -> None:
    opened = ticket(client, key(engine, "viewer"))

    assert client.get(f"/api/v1/workflows/a?ticket={opened}").status_code == 401
    assert ask(client, "GET", "/api/v1/workflows/a", opened).status_code == 401


def test_who_may_see_nothing_gets_no_ticket(engine: Engine, client: FlaskClient) -> None:
    answer = ask(client, "POST", "/api/v1/events/ticket", key(engine, "worker"))

    assert (answer.status_code, answer.get_json()["code"]) == (403, "insufficient_role")


@pytest.mark.parametrize("by_ticket", [True, False], ids=["by a ticket", "by the key itself"])
def test_a_stream_ends_with_the_key_that_opened_it_and_tells_nothing_more(
    engine: Engine, client: FlaskClient, by_ticket: bool
) -> None:
    viewer = key(engine, "viewer")
    opened = {"query_string": {"ticket": ticket(client, viewer)}} if by_ticket else {"headers": _bearing(viewer)}
    told = pieces(client.get(STREAM, buffered=False, **opened))
    next(told), next(told)

    engine.api_keys.revoke(viewer[:14])
    engine.workflows.start("T", "later")

    assert "later" not in "".join(told)


def test_a_worker_whose_key_is_revoked_while_it_waits_gets_no_task(engine: Engine, app: Flask) -> None:
    worker = key(engine, "worker")
    waits = {"queue": "main", "worker_id": "w", "wait_secs": 20}
    with ThreadPoolExecutor(1) as elsewhere:
        poll = elsewhere.submit(ask, app.test_client(), "POST", "/api/v1/workflow-tasks/poll", worker, json=waits)
        until(lambda: any(engine._wakeups.waiters._queues.values()))

        engine.api_keys.revoke(worker[:14])
        engine.workflows.start("T", "later")

        assert poll.result().get_json() is None
    with engine.store.read() as db:
        assert db.one("SELECT COUNT(*) FROM workflow_tasks WHERE token IS NOT NULL")[0] == 0


def _bearing(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}
