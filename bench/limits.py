"""What the ground floor gives by itself, measured in the same run: the distance to it says more than a figure.

commits   one connection of the same driver: begin, three inserts of the bytes of a start, commit; durable
flask     gunicorn as the service has it, with an app that reads a JSON body and answers a small one
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg

from .databases import Databases
from .load import Order
from .processes import Failed
from .processes import Ground
from .processes import ending
from .processes import free_port
from .processes import wait_ready
from .workloads import CONNECTIONS
from .workloads import load

_TABLES = (
    "CREATE TABLE run (id bigint PRIMARY KEY, namespace text, state text, input text, created_at double precision)",
    "CREATE TABLE task (id bigint PRIMARY KEY, queue text, ready_at double precision)",
    "CREATE TABLE event (run bigint, seq integer, kind text, payload text, at double precision, "
    "PRIMARY KEY (run, seq))",
)  # fmt: skip
_RUN = "x" * 280  # with its keys, about as long as the row of a run that was just started
_PAYLOAD = '{"name":"world","greeting":"hello"}'


def commits_per_s(place: Databases, secs: float) -> float:
    """Commit like a start, one after the other."""
    with place.fresh() as url:
        if place.backend == "sqlite":
            with closing(sqlite3.connect(url.removeprefix("sqlite://"), isolation_level=None)) as lite:
                lite.execute("PRAGMA journal_mode = wal").fetchall()
                lite.execute("PRAGMA synchronous = full")
                return _commit_for(secs, lite.execute, lambda: lite.execute("COMMIT"), "?")
        with closing(psycopg.connect(url, autocommit=False)) as post:
            return _commit_for(secs, post.execute, post.commit, "%s")


def _commit_for(secs: float, execute: Callable[..., Any], commit: Callable[[], Any], mark: str) -> float:
    for table in _TABLES:
        execute(table)
    if mark == "%s":
        commit()
    run, task, event = (
        f"INSERT INTO {name} VALUES ({', '.join([mark] * width)})"
        for name, width in (("run", 5), ("task", 3), ("event", 5))
    )
    began = time.perf_counter()
    done = 0
    while (took := time.perf_counter() - began) < secs:
        if mark == "?":
            execute("BEGIN IMMEDIATE")
        execute(run, (done, "main", "PENDING", _RUN, took))
        execute(task, (done, "bench", took))
        execute(event, (done, 1, "WorkflowStarted", _PAYLOAD, took))
        commit()
        done += 1
    return done / took


def flask_per_s(ground: Ground, backend: str, secs: float) -> dict[str, float]:
    """Ask a trivial Flask app, under the same gunicorn, with the same client."""
    port = free_port()
    lite = backend == "sqlite"
    workers, threads = (1, 160) if lite else (len(os.sched_getaffinity(0)), 96)
    argv = (
        *("-m", "gunicorn", "--no-control-socket", "--worker-class", "gthread", "--workers", str(workers)),
        *("--threads", str(threads), "--worker-connections", str(4 * threads), "--keep-alive", "15"),
        *("--reuse-port", "--log-level", "warning", "--bind", f"127.0.0.1:{port}", "bench.bare_flask:app"),
    )
    with ending(ground.start("bare-flask", argv)) as child:
        wait_ready(child, port, sidecar=False)
        item = json.dumps({"workflow_type": "hello", "workflow_id": "f-%N", "input": {"name": "world"}})
        order = Order(port=port, path="/api/v1/workflows", item=item, connections=CONNECTIONS, secs=secs)
        load(ground, order)
        seen = load(ground, order)
    if not seen.requests:
        raise Failed("the bare Flask app answered nothing")
    return {"flask_per_s": seen.requests / seen.secs, "flask_p50_ms": seen.p50_ms, "flask_p99_ms": seen.p99_ms}
