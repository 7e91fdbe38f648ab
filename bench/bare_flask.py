"""A Flask app that does nothing but what every request costs: read JSON, answer JSON."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask import request

app = Flask(__name__)


@app.get("/readyz")
def readyz() -> dict[str, bool]:
    """Say that the process answers."""
    return {"ready": True}


@app.post("/api/v1/workflows")
def start() -> tuple[dict[str, Any], int]:
    """Answer like a start."""
    body = request.get_json()
    return {"workflow_id": body["workflow_id"], "run_id": f"run-{body['workflow_id']}-1", "status": "PENDING"}, 201
