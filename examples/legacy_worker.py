"""A worker for a host on which nothing can be installed: one file, Python and `requests`, no SDK.

    python examples/legacy_worker.py
    curl -s http://127.0.0.1:8080/api/v1/workflows -H 'Content-Type: application/json' \\
        -d '{"workflow_type": "ReadMeter", "workflow_id": "meter-7", "task_queue": "meters", "input": {"meter": "A7"}}'

It asks for one task at a time by the routes that assay's workers have always used, and outlives the service.
"""

from __future__ import annotations

import json
import os
import socket
import time
import zlib
from typing import Any
from urllib.parse import quote

import requests

API = os.environ.get("ASSAY_ENGINE_URL", "http://127.0.0.1:8080") + "/api/v1"
QUEUE = "meters"


def ask(path: str, **body: Any) -> Any:
    """POST, again and again while the service is away. Safe: a report with a task token counts once."""
    while True:
        try:
            answer = requests.post(API + path, json=body, timeout=30)
            if answer.status_code < 400 or answer.status_code in (404, 409):  # 409: too late, another one has the task
                return answer.json()
            if answer.status_code < 500 and answer.status_code != 429:
                raise SystemExit(f"{path} was refused: {answer.text}")
        except requests.RequestException as error:
            print(f"no answer, trying again: {error}", flush=True)
        time.sleep(0.5)


def read_meter(meter: str) -> dict[str, Any]:
    """Do the work, once for each attempt."""
    return {"meter": meter, "kwh": zlib.crc32(meter.encode()) % 10_000}


def next_command(turn: dict[str, Any]) -> dict[str, Any]:
    """Decide by what has happened: the workflow type `ReadMeter`."""
    for event in turn["history"]:
        if event["event_type"] == "ActivityCompleted":
            return {"type": "CompleteWorkflow", "result": event["payload"]["result"]}
        if event["event_type"] == "ActivityFailed":
            return {"type": "FailWorkflow", "error": event["payload"]["error"]}
    return {"type": "ScheduleActivity", "seq": 1, "name": "read_meter", "task_queue": QUEUE, "input": turn["input"]}


def main() -> None:
    """Work until interrupted."""
    names = {"workflows": ["ReadMeter"], "activities": ["read_meter"]}
    me = {"worker_id": ask("/workers/register", identity=socket.gethostname(), queue=QUEUE, **names)["worker_id"]}
    while True:
        ask("/workers/heartbeat", **me)
        turn = ask("/workflow-tasks/poll", queue=QUEUE, wait_secs=1, **me)
        if turn is not None:
            path = f"/workflow-tasks/{quote(turn['workflow_id'], safe='')}/commands"
            ask(path, task_token=turn["task_token"], commands=[next_command(turn)])
        task = ask("/tasks/poll", queue=QUEUE, **me)
        if "id" in task:
            try:
                report = {"result": read_meter(json.loads(task["input"])["meter"])}
            except Exception as error:  # noqa: BLE001  whatever it is, the run should hear of it
                ask(f"/tasks/{task['id']}/fail", error=repr(error), task_token=task["task_token"])
            else:
                ask(f"/tasks/{task['id']}/complete", task_token=task["task_token"], **report)


if __name__ == "__main__":
    main()
