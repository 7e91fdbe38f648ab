"""A worker that is played by hand, over HTTP."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient


class WorkerOverHttp:
    """A worker that is played by hand: one session of exchanges."""

    def __init__(
        self, client: FlaskClient, worker_id: str = "w-1", session: str = "s-1", queue: str = "main",
        namespace: str = "main",
    ) -> None:  # fmt: skip
        self.client = client
        self.url = f"/api/v1/workers/{worker_id}/exchange"
        self.session = session
        self.queue = queue
        self.namespace = namespace
        self.n = 0

    def exchange(self, **more: Any) -> dict[str, Any]:
        """Hand in and take; the first one begins the session."""
        response = self.send(**more)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.get_json()
        return answer

    def send(self, **more: Any) -> Any:
        """Do the same, whatever the answer."""
        self.n += 1
        body = {"session": self.session, "n": self.n, "queue": self.queue, "namespace": self.namespace, **more}
        if self.n == 1:
            body.setdefault("worker", {"identity": "played by hand", "sdk": "none/0"})
        return self.client.post(self.url, json=body)

    def turn(self, token: str, *commands: dict[str, Any]) -> dict[str, Any]:
        """Hand in a turn and give its outcome."""
        answer = self.exchange(workflow_results=[{"task_token": token, "commands": list(commands)}])
        outcome: dict[str, Any] = answer["results"][0]
        return outcome

    def task(self) -> dict[str, Any]:
        """Take the one workflow task there is."""
        (task,) = self.exchange(workflow_slots=10)["workflow_tasks"]
        return dict(task)
