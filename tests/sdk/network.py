"""A network of the client that answers by a script, and a workflow to start over it."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import requests
from requests.adapters import BaseAdapter

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context

STARTED = {"workflow_id": "o-1", "run_id": "run-o-1-1", "status": "PENDING"}

LOST = requests.ConnectionError("reset by peer")


class Network(BaseAdapter):
    """Answers from a script; keeps what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.script: deque[Any] = deque()
        self.sent: list[requests.PreparedRequest] = []

    def answers(self, *script: Any) -> None:
        self.script.extend(script)

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        assert more["timeout"]
        self.sent.append(request)
        answer = self.script.popleft()
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer if isinstance(answer, tuple) else (200, answer)
        response = requests.Response()
        response.status_code = status
        response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response.headers.update(headers[0] if headers else {})
        response.url = request.url or ""
        return response

    def close(self) -> None:
        pass

    def bodies(self) -> list[Any]:
        return [json.loads(request.body or b"null") for request in self.sent]

    def paths(self) -> list[str]:
        return [f"{request.method} {request.path_url}" for request in self.sent]


@dataclass
class Order:
    sku: str


@dataclass
class Receipt:
    total: int


app = Assay()


@app.workflow(queue="orders")
def Buy(ctx: Context, order: Order) -> Receipt:
    return Receipt(1)


@app.workflow(name="transfer", run_timeout=timedelta(minutes=1), execution_timeout=3600)
def Transfer(ctx: Context, source: str, amount: int, note: str = "") -> str:
    return note


def record(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "o-1", "run_id": "run-o-1-1", "status": status, "input": '{"sku": "a"}', "result": None, **more}
