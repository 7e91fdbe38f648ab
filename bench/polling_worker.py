"""A worker of the old way, as assay's own are: registers, then polls, works and reports, one task at a time.

Run as a process of its own, `python -m bench.polling_worker`. One raw, kept-alive connection, so that it costs
little beside what is measured. Reports carry no token: assay's workers know none. Ends when an answer is not 200.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from .load import Line

IDLE_SECS = 0.02


class Wire:
    """Asks the service, one question after the other."""

    def __init__(self, port: int) -> None:
        self._line = Line(port)
        self._host = f"127.0.0.1:{port}"

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """POST a body and give the answer's. Raises ConnectionError for any status but 200."""
        text = json.dumps(body)
        self._line.send(
            f"POST /api/v1{path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}".encode()
        )
        while not self._line.receive():
            pass
        head, _, answer = self._line.heard.partition(b"\r\n\r\n")
        if head[9:12] != b"200":
            raise ConnectionError(f"{path} was answered {head[9:12].decode()}: {answer[:600].decode()}")
        return json.loads(answer)


def work(wire: Wire, namespace: str, queue: str) -> None:
    """Do what is there, for as long as this process lives."""
    names = {"workflows": ["hello"], "activities": ["greet"]}
    registered = wire.ask("/workers/register", {"identity": "bench", "namespace": namespace, "queue": queue, **names})
    worker_id = registered["worker_id"]
    poll = {"queue": queue, "worker_id": worker_id}
    while True:
        task = wire.ask("/workflow-tasks/poll", poll)
        if task is not None:
            turn = {"worker_id": worker_id, "commands": [_next_command(task, queue)]}
            wire.ask(f"/workflow-tasks/{task['workflow_id']}/commands", turn)
            continue
        activity = wire.ask("/tasks/poll", poll)
        if "id" in activity:
            wire.ask(f"/tasks/{activity['id']}/complete", {"result": f"hello {json.loads(activity['input'])}"})
        else:
            time.sleep(IDLE_SECS)


def _next_command(task: dict[str, Any], queue: str) -> dict[str, Any]:
    for event in task["history"]:
        if event["event_type"] == "ActivityCompleted":
            return {"type": "CompleteWorkflow", "result": event["payload"]["result"]}
    return {"type": "ScheduleActivity", "seq": 1, "name": "greet", "task_queue": queue, "input": task["input"]}


def main() -> None:
    """Work for the service that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.polling_worker")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--queue", required=True)
    asked = parser.parse_args()
    work(Wire(asked.port), asked.namespace, asked.queue)


if __name__ == "__main__":
    main()
