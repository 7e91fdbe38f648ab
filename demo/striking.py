"""How each kind of process is met at its work, killed, and waited for until things go on."""

from __future__ import annotations

import http.client
import itertools
import time
from collections.abc import Callable
from contextlib import suppress

from . import proc
from .blows import MASTER
from .blows import SIDECAR
from .blows import WEB
from .blows import WORKER
from .blows import Blow
from .blows import Strike
from .blows import kill
from .scene import WORKERS
from .scene import Scene

RECOVERY_SECS = 40.0  # the longest that is waited for anything to come back
_LOOK_SECS = 0.01
_SETTLING_SECS = 0.1  # for what a killed worker has sent before to arrive
_AFTER_MS = itertools.cycle((0, 3, 1, 6, 2))  # a request is met at another place each time


def strike(scene: Scene, kind: str, turn: int, patience_secs: float) -> Blow | None:
    """Wait for a moment, kill, wait for recovery. None: no moment came."""
    if kind == WORKER:
        return _worker(scene, WORKERS[turn % len(WORKERS)], patience_secs)
    if kind == SIDECAR:
        return _sidecar(scene, patience_secs)
    return _web(scene, kind, patience_secs)


# ------------------------------------------------------------------------------------------------ a worker


def _worker(scene: Scene, worker: str, patience_secs: float) -> Blow | None:
    """At a moment when the database says that it holds a task; and still says so when it is dead."""
    if not _wait(lambda: bool(_leases(scene, worker)), patience_secs):
        return None
    child = scene.workers[worker]
    blow = Blow(kind=WORKER, pid=child.pid, worker=worker, at=kill(child.pid))
    child.process.wait()
    time.sleep(_SETTLING_SECS)
    held = _leases(scene, worker)
    scene.start_worker(worker)
    blow.bit = bool(held)
    blow.proof = "it held " + (" and ".join(what for what, _, _ in held) or "nothing any more")
    blow.recovery = "until all that it held was done"
    if held and _wait(lambda: all(_done(scene, *lease) for lease in held), RECOVERY_SECS):
        blow.recovered_secs = time.time() - blow.at
    return blow


Lease = tuple[str, int, object]


def _leases(scene: Scene, worker: str) -> list[Lease]:
    """What a worker holds: (words, key, by what one sees that it is done)."""
    turns = scene.reader.rows(
        "SELECT w.workflow_id, w.run_key, w.last_seq FROM workflow_tasks t JOIN workflows w ON w.run_key = t.run_key "
        "WHERE t.owner = ? AND t.token IS NOT NULL",
        (worker,),
    )
    activities = scene.reader.rows(
        "SELECT a.name, w.workflow_id, a.activity_key, a.attempt FROM workflow_activities a "
        "JOIN workflows w ON w.run_key = a.run_key WHERE a.owner = ? AND a.status = 'RUNNING'",
        (worker,),
    )
    return [
        *((f"a turn of {workflow_id}", run_key, ("turn", last_seq)) for workflow_id, run_key, last_seq in turns),
        *((f"{name} of {workflow_id}", key, attempt) for name, workflow_id, key, attempt in activities),
    ]


def _done(scene: Scene, _what: str, key: int, mark: object) -> bool:
    if isinstance(mark, tuple):  # a turn always adds events
        found = scene.reader.rows("SELECT last_seq FROM workflows WHERE run_key = ?", (key,))
        return bool(found[0][0] > mark[1])
    status, attempt = scene.reader.rows(
        "SELECT status, attempt FROM workflow_activities WHERE activity_key = ?", (key,)
    )[0]
    # Another attempt: this one was reported as failed, for the document service has its script.
    return status not in ("PENDING", "RUNNING") or attempt != mark


# ----------------------------------------------------------------------------------------------- a sidecar


def _sidecar(scene: Scene, patience_secs: float) -> Blow | None:
    """At a moment when it leads, by the database's word."""
    if not _wait(lambda: scene.leader() is not None and scene.leader() == scene.sidecar(), patience_secs):
        return None
    leader = scene.leader()
    if leader is None:
        return None
    blow = Blow(kind=SIDECAR, pid=leader, at=kill(leader))
    blow.bit = scene.leader() == leader
    blow.proof = "it led"
    blow.recovery = "until another one led"
    if _wait(lambda: scene.leader() not in (None, leader), RECOVERY_SECS):
        blow.recovered_secs = time.time() - blow.at
    return blow


# -------------------------------------------------------------------------------- a web process, its master


def _web(scene: Scene, kind: str, patience_secs: float) -> Blow | None:
    """At a moment when a request of the feeder has been sent and not been answered."""
    before = scene.web_processes()
    master = scene.master()
    if master is None or not before:
        return None
    wanted = Strike(
        kind=kind,
        victim=(lambda holder: holder) if kind == WEB else (lambda _: master),
        after_secs=next(_AFTER_MS) / 1000,
    )
    blow = scene.watch.strike(wanted, patience_secs)
    if blow is None:
        return None
    dead = set(before) if kind == MASTER else {blow.pid}
    blow.recovery = "until a web process of a new master answered" if kind == MASTER else "until one answered"
    if _wait(lambda: _answered_by(scene, dead), RECOVERY_SECS):
        blow.recovered_secs = time.time() - blow.at
    return blow


def _answered_by(scene: Scene, dead: set[int]) -> bool:
    """Whether a request is answered now, by a process that is none of these."""
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", scene.port, timeout=2)
        try:
            connection.connect()
            sock = connection.sock
            connection.request("GET", "/readyz")
            if connection.getresponse().status != 200:
                return False
            holder = proc.holder_of_other_end(sock, scene.web_processes())
            return holder is not None and holder not in dead
        finally:
            connection.close()
    return False


def _wait(until: Callable[[], bool], secs: float) -> bool:
    limit = time.monotonic() + secs
    while not until():
        if time.monotonic() > limit:
            return False
        time.sleep(_LOOK_SECS)
    return True
