"""A service with known runs and a clock that stands still, and the command line called on it."""

from __future__ import annotations

import functools
import io
import os
import pty
import re
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from typing import NamedTuple

from flask import request
from werkzeug.serving import WSGIRequestHandler
from werkzeug.serving import make_server

from assay_wsgi import __version__
from assay_wsgi.app import create_app
from assay_wsgi.cli.main import cli
from assay_wsgi.domain.model import Deed
from assay_wsgi.domain.requests import NewKey
from assay_wsgi.engine import Engine
from assay_wsgi.engine.acting import Actor
from assay_wsgi.engine.acting import acting
from assay_wsgi.engine.operations import CreateKey
from assay_wsgi.engine.operations import Keyed
from assay_wsgi.settings import EngineSettings
from assay_wsgi.settings import Settings
from tests.api.played_worker import WorkerOverHttp
from tests.conftest import Clock


class Said(NamedTuple):
    """What a call of the command line came to."""

    code: int
    out: str
    err: str


class _Quiet(WSGIRequestHandler):
    def log(self, *args: Any, **more: Any) -> None:
        pass


@contextmanager
def serving(directory: Path, asked: set[tuple[str, str]] | None = None) -> Iterator[str]:
    """Serve the known runs; give the URL. What is `asked` for is noted: method and route."""
    played, now = _played()
    (directory / "assay.db").write_bytes(played)
    engine = Engine.open(f"sqlite://{directory}/assay.db", clock=Clock(now))
    app = create_app(Settings(), engine)
    if asked is not None:
        app.before_request(lambda: asked.add((request.method, str(request.url_rule))))  # None: go on
    try:
        with served(app) as url:
            yield url
    finally:
        engine.close()


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve a WSGI application; give the URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@functools.cache
def _played() -> tuple[bytes, float]:
    """Play the known runs once: the database file, and what time it is then."""
    with TemporaryDirectory() as directory:
        clock, file = Clock(), Path(directory, "assay.db")
        engine = Engine.open(f"sqlite://{file}", clock=clock)
        _play(create_app(Settings(), engine).test_client(), clock)
        _make_keys(engine, clock)
        engine.close()
        assert [path.name for path in file.parent.glob("assay.db-wal")] == []  # all of it is in the one file
        return file.read_bytes(), clock.now


def _play(client: Any, clock: Clock) -> None:
    """One run at work with a step of each kind, one completed, one failed, one with an awkward id, one continued.

    In another namespace one whose code fails. Three schedules: one that waits, one paused, one whose run is open.
    """

    def start(workflow_type: str, workflow_id: str, **more: Any) -> None:
        body = {"workflow_type": workflow_type, "workflow_id": workflow_id, "task_queue": "default", **more}
        assert client.post("/api/v1/workflows", json=body).status_code == 201

    worker = WorkerOverHttp(client, queue="default")
    start("Greet", "done-1", input={"who": "Ada"})
    task = worker.task()
    clock.advance(1.5)
    worker.turn(task["task_token"], {"type": "CompleteWorkflow", "result": {"greeting": "hello, Ada"}})
    start("Greet", "bad-1")
    task = worker.task()
    worker.turn(task["task_token"], {"type": "FailWorkflow", "error": "no such person\nat line 7\x1b[31m"})
    start("Loop", "loop-1")
    task = worker.task()
    worker.turn(task["task_token"], {"type": "ContinueAsNew", "input": 2, "workflow_id": "loop-1"})
    task = worker.task()
    worker.turn(task["task_token"], {"type": "CompleteWorkflow", "result": 2})
    start("Checkout", "order-1", input={"n": 1}, search_attributes={"env": "prod"})
    task = worker.task()
    clock.advance(2)
    worker.turn(
        task["task_token"],
        {"type": "ScheduleActivity", "seq": 1, "name": "charge", "task_queue": "default", "input": 7},
        {"type": "ScheduleTimer", "seq": 2, "duration_secs": 3600},
        {"type": "StartChildWorkflow", "seq": 3, "workflow_id": "ship-1", "workflow_type": "Ship", "task_queue": "far"},
        {"type": "RecordSnapshot", "state": {"stage": "paying"}},
        {"type": "WaitForSignal", "name": "approve"},
    )
    (attempt,) = worker.exchange(activity_slots=1)["activity_tasks"]
    clock.advance(0.25)
    worker.exchange(activity_results=[{"task_token": attempt["task_token"], "failure": {"error": "card declined"}}])
    clock.advance(60)
    (attempt,) = worker.exchange(activity_slots=1)["activity_tasks"]
    start("Greet", "a/b c?#", namespace="other")
    start("Greet", "stuck-1", namespace="other", task_queue="slow")
    worker = WorkerOverHttp(client, "w-2", queue="slow", namespace="other")
    failure = {"cause": "KeyError", "message": "'who'", "trace": 'File "greet.py", line 7\n'}
    worker.exchange(workflow_results=[{"task_token": worker.task()["task_token"], "failure": failure}])

    def plan(name: str, cron: str, **more: Any) -> None:
        body = {"name": name, "workflow_type": "Report", "cron_expr": cron, "task_queue": "default", **more}
        assert client.post("/api/v1/schedules", json=body).status_code == 201

    plan("nightly", "0 2 * * *", timezone="Europe/Berlin", input={"of": "yesterday"})
    plan("a/b c?#", "@every 90s", overlap_policy="allow_all")
    client.post("/api/v1/schedules/a%2Fb%20c%3F%23/pause", json={"reason": "too often"})
    plan("busy", "@yearly")
    assert client.post("/api/v1/schedules/busy/trigger").json["outcome"] == "started"


def _make_keys(engine: Engine, clock: Clock) -> None:
    """Two API keys, and what the audit log says of the second and of one who had none."""
    for label, digits, roles, namespaces in (
        ("root", "00000000", ("admin", "worker"), None),
        ("ci", "0123abcd", ("operator",), ("main", "other")),
    ):
        with acting(Actor(name="ada", action="api_keys_create", request_id=f"r-{label}", audited=label == "ci")):
            wanted = NewKey(label=label, roles=roles, namespaces=namespaces)
            engine.committer.do(Keyed.of(CreateKey(None, wanted, f"assay_{digits * 8}", "ada"), None, EngineSettings()))
    engine.note_refusal(
        Deed(clock.now, "unknown@192.0.2.7", "workflows_cancel", "main", "order-1", "unauthorized", "r-3")
    )


def call(monkeypatch: Any, *arguments: str, terminal: bool = False, stdin: str = "") -> Said:
    """Call the command line in this process, with real pipes or a real terminal at its ends."""
    ends = [_End(terminal), _End(terminal)]
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", io.StringIO(stdin))
        patched.setattr(sys, "stdout", ends[0].stream)
        patched.setattr(sys, "stderr", ends[1].stream)
        code = 0
        try:
            cli.main(list(arguments), prog_name="assay")
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Said(code, *(end.said() for end in ends))


class _End:
    """One end of the command: a pipe or a terminal, read to its end."""

    def __init__(self, terminal: bool) -> None:
        self._read, write = pty.openpty() if terminal else os.pipe()
        if terminal:
            flags = termios.tcgetattr(write)
            flags[1] &= ~termios.OPOST  # a line's end stays what it is
            termios.tcsetattr(write, termios.TCSANOW, flags)
        self.stream = os.fdopen(write, "w", encoding="utf-8")
        self._heard: list[bytes] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        try:
            while heard := os.read(self._read, 65536):
                self._heard.append(heard)
        except OSError:  # how a terminal ends
            pass

    def said(self) -> str:
        """Give all that was said."""
        self.stream.close()
        self._thread.join()
        os.close(self._read)
        return b"".join(self._heard).decode()


def settled(text: str, url: str) -> str:
    """Leave out what differs from call to call: an API key that was drawn, too, and the life of the feed's database."""
    text = re.sub(r"\b[0-9a-f]{16}(?=-[0-9]+-[0-9]+\b)", "LIFE", text)
    text = re.sub(r"assay_(?!0{8}|01234567|0123abcd|f{8})[0-9a-f]{8}(?P<rest>[0-9a-f]{56})?", _drawn, text)
    return text.replace(url, "URL").replace(__version__, "VERSION")


def _drawn(found: re.Match[str]) -> str:
    return "KEY" if found["rest"] else "PREFIX"
