"""The service under contract: a real one, as its operator runs it, and a caller with names of its own.

Many tests share one service, so each keeps to ids, queues and namespaces that only it uses.
"""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.processes import children
from tests.processes import gone
from tests.processes import until

REPOSITORY = Path(__file__).parent.parent.parent
PATIENCE_SECS = 60.0

_NOTHING: Any = object()


class Service:
    """Where the service answers."""

    def __init__(self, root: str) -> None:
        self.root = root  # http://host:port


@contextmanager
def serving(database: str, log: Path, *options: str, **environ: str) -> Iterator[Service]:
    """Run the service on a database for as long as the block lasts; then nothing of it is left."""
    argv = [sys.executable, "-m", "assay_wsgi", "serve", "--backend", database, "--port", "0", *options]
    with log.open("w") as output:
        process = subprocess.Popen(
            argv, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environ}, cwd=REPOSITORY
        )
    try:
        address = until(lambda: log.read_text().partition(" at http://")[2].partition(",")[0].split("\n")[0])
        root = f"http://{address}"
        until(lambda: _has_its_database(root))
        yield Service(root)
    finally:
        family = [process.pid]
        for pid in family:
            family += children(pid)
        for pid in family:
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        until(lambda: all(gone(pid) for pid in family))


def _has_its_database(root: str) -> bool:
    try:
        answer = requests.get(f"{root}/readyz", timeout=10)
    except requests.RequestException:
        return False
    return answer.ok and answer.json()["database"] == "ok"


class Caller:
    """Sends what a test sends. Everything it names has a name that no other test uses."""

    def __init__(self, service: Service, **headers: str) -> None:
        self.service = service
        self.base = f"{service.root}/api/v1"
        self.mark = secrets.token_hex(4)
        self.queue = self.id("queue")
        self.worker = self.id("worker")  # not registered
        self.headers = headers
        self.adds: dict[str, Any] = {}  # members that go into every body
        self._numbers = itertools.count(1)
        self._session = requests.Session()

    def id(self, name: str) -> str:
        """Make a name this test's own."""
        return f"{name}-{self.mark}"

    def fresh(self, name: str = "run") -> str:
        """Give a name that nothing has."""
        return f"{name}-{next(self._numbers)}-{self.mark}"

    def close(self) -> None:
        self._session.close()

    # --------------------------------------------------------------------------------------- requests

    def send(self, method: str, path: str, *, root: bool = False, **options: Any) -> requests.Response:
        """Send a request as it is."""
        url = (self.service.root if root else self.base) + path
        headers = {**self.headers, **options.pop("headers", {})}
        return self._session.request(
            method, url, headers=headers, timeout=PATIENCE_SECS, allow_redirects=False, **options
        )

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.send("GET", path, params=query)

    def post(self, path: str, body: Any = _NOTHING, **options: Any) -> requests.Response:
        if body is _NOTHING:
            return self.send("POST", path, **options)
        if isinstance(body, dict):
            body = {**body, **self.adds}
        return self.send("POST", path, json=body, **options)

    def patch(self, path: str, body: dict[str, Any]) -> requests.Response:
        return self.send("PATCH", path, json=body)

    def delete(self, path: str, **query: Any) -> requests.Response:
        return self.send("DELETE", path, params=query)

    # ------------------------------------------------------------------------------------------ scenes

    def a_start(self, **more: Any) -> dict[str, Any]:
        """The body of a start."""
        return {"workflow_type": "Hello", "workflow_id": self.fresh(), "task_queue": self.queue, **more}

    def started(self, **more: Any) -> str:
        """Start a run. Answers its workflow id."""
        answer = self.post("/workflows", self.a_start(**more))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["workflow_id"])

    def closed(self, **more: Any) -> str:
        """Start a run and end it. Answers its workflow id."""
        workflow_id = self.started(**more)
        self.post(f"/workflows/{workflow_id}/terminate", {}).raise_for_status()
        return workflow_id

    def polled(self, worker: str | None = None, **more: Any) -> Any:
        """Poll for a workflow task. Answers the task or None."""
        answer = self.post("/workflow-tasks/poll", {"queue": self.queue, "worker_id": worker or self.worker, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def polled_activity(self, worker: str | None = None) -> dict[str, Any]:
        """Poll for an activity. Answers it or {"task": None}."""
        answer = self.post("/tasks/poll", {"queue": self.queue, "worker_id": worker or self.worker})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def leased(self, **more: Any) -> dict[str, Any]:
        """Start a run and lease its workflow task."""
        workflow_id = self.started(**more)
        task = self.polled()
        assert task["workflow_id"] == workflow_id
        return dict(task)

    def commands(self, task: dict[str, Any], *commands: dict[str, Any], **more: Any) -> requests.Response:
        """Hand in the commands of a turn, with its token."""
        body = {"task_token": task["task_token"], "commands": list(commands), **more}
        return self.post(f"/workflow-tasks/{task['workflow_id']}/commands", body)

    def at_work(self, **more: Any) -> dict[str, Any]:
        """Start a run, schedule an activity of it and lease that."""
        task = self.leased()
        command = {"type": "ScheduleActivity", "seq": 1, "name": "greet", "task_queue": self.queue, **more}
        assert self.commands(task, command).status_code == 200
        activity = self.polled_activity()
        assert activity["workflow_id"] == task["workflow_id"]
        return activity

    def registered(self, **more: Any) -> str:
        """Register a worker on this test's queue. Answers its id."""
        answer = self.post("/workers/register", {"identity": "played by hand", "queue": self.queue, **more})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["worker_id"])

    def scheduled(self, **more: Any) -> str:
        """Make a schedule that fires once a year. Answers its name."""
        told = {"workflow_type": "Hello", "cron_expr": "@yearly", "task_queue": self.queue, **more}
        answer = self.post("/schedules", {"name": self.fresh("schedule"), **told})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["name"])

    def record(self, workflow_id: str) -> dict[str, Any]:
        """Describe a run."""
        answer = self.get(f"/workflows/{workflow_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def events(self, workflow_id: str) -> list[dict[str, Any]]:
        """Show a run's history."""
        answer = self.get(f"/workflows/{workflow_id}/events")
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def told(self, workflow_id: str) -> list[str]:
        """The types of a run's events."""
        return [event["event_type"] for event in self.events(workflow_id)]
