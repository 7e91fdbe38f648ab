"""How gunicorn runs the service: the settings, and what its processes do when they start, drain and end.

The master opens nothing: each web process opens its own engine after the fork (create_app).
"""

from __future__ import annotations

import math
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from assay_wsgi.cli import logs
from assay_wsgi.cli.processes import lifeline
from assay_wsgi.cli.processes import ports
from assay_wsgi.settings import Settings
from assay_wsgi.settings import SettingsError

ORPHAN_SECS = 0.9  # a web process whose parent is dead is gone within a second
ORPHAN_MASTER_SECS = 3.0

try:
    _settings = Settings.from_env()
except SettingsError as error:
    sys.exit(f"assay: {error}")
_supervised = _settings.process.parent_fd is not None

wsgi_app = "assay_wsgi:create_app()"
proc_name = "assay"
bind = _settings.http.bind
worker_class = "gthread"
workers = _settings.web_workers
threads = _settings.http_threads + _settings.http.streams
worker_connections = max(1000, 4 * threads)  # beyond the threads: kept-alive connections that are idle
keepalive = 15
timeout = 60
graceful_timeout = math.ceil(_settings.http.graceful_secs)
forwarder_headers = ""  # no client names by a header the path that it means
control_socket_disable = True  # it would stand in the home directory, one for all servers of a user
# The processes show that they live by touching a file; on a disk that is busy, this could block.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# Under `assay serve` there is one start line, its own.
loglevel = "warning" if _supervised and _settings.process.log_level == "info" else _settings.process.log_level

__all__ = [
    "bind", "control_socket_disable", "forwarder_headers", "graceful_timeout", "keepalive", "loglevel", "on_starting",
    "post_fork", "post_worker_init", "proc_name", "threads", "timeout", "when_ready", "worker_class",
    "worker_connections", "worker_exit", "worker_tmp_dir", "workers", "wsgi_app",
]  # fmt: skip

_master_pipe: list[int] = []  # reading end, writing end: it ends with the master


def on_starting(server: Any) -> None:
    """In the master: refuse an open door or a taken port; make the pipe that ends with this process."""
    for address in server.cfg.address:
        if not isinstance(address, tuple):
            continue  # a Unix socket is nobody else's business; one that was inherited is its holder's
        host, port = address[:2]
        try:
            _settings.refuse_open_door(host)
            if server.master_pid == 0:  # else it is inherited from an older master
                ports.claim(host, port).close()
        except (SettingsError, OSError) as error:
            sys.exit(f"assay: cannot listen at {ports.url_of(host, port)}: {error}")
    _master_pipe[:] = os.pipe()


def when_ready(server: Any) -> None:
    """In the master: end when `assay serve` does."""
    if _settings.process.parent_fd is not None:
        lifeline.when_any_ends([_settings.process.parent_fd], lambda: _end_soon(ORPHAN_MASTER_SECS))
        return
    for address in server.cfg.address:
        if isinstance(address, tuple):
            server.log.info("%s", ports.start_line(_settings, *address[:2]))


def post_fork(server: Any, worker: Any) -> None:
    """In a web process: end when the master or `assay serve` does, keep to a core, log."""
    os.close(_master_pipe[1])
    parents = [_master_pipe[0]]
    if _settings.process.parent_fd is not None:
        parents.append(_settings.process.parent_fd)
    lifeline.when_any_ends(parents, lambda: _end_soon(ORPHAN_SECS))
    if _settings.http.pin_cores:
        _pin(server)
    logs.configure(_settings.process.log_level)
    worker.log.debug("web process %s", worker.pid)


def post_worker_init(worker: Any) -> None:
    """In a web process: at SIGTERM, answer the long polls at once and leave the port to the others."""
    ending = signal.getsignal(signal.SIGTERM)
    assert callable(ending)
    drain = lifeline.bell(_engine_of(worker).drain)

    def end(number: int, frame: FrameType | None) -> None:
        already = not worker.alive  # both parents may ask, and the port can be left but once
        ending(number, frame)
        if not already:
            os.write(drain, b".")
            worker.method_queue.defer(_leave_port, worker)

    signal.signal(signal.SIGTERM, end)
    signal.siginterrupt(signal.SIGTERM, False)
    lifeline.say_ready(_settings.process.ready_fd)


def worker_exit(_server: Any, worker: Any) -> None:
    """In a web process, at its end: close the engine."""
    if getattr(worker, "wsgi", None) is not None:
        _engine_of(worker).close()


def _engine_of(worker: Any) -> Any:
    return worker.wsgi.extensions["assay_wsgi"]


def _end_soon(secs: float) -> None:
    lifeline.exit_within(secs)
    os.kill(os.getpid(), signal.SIGTERM)


def _leave_port(worker: Any) -> None:
    """Take what the kernel has queued on the port, then let go of it: others of ours may hold it still.

    Who lets go last, at the end of the service, must not leave connections in the queue: they would be reset.
    """
    worker.set_accept_enabled(False)
    for listener in worker.sockets:
        taken = -1
        while worker.nr_conns != taken:
            taken = worker.nr_conns
            worker.accept(listener)
        listener.close()


def _pin(server: Any) -> None:
    """Keep to the core that the fewest other web processes keep to; in a reload, old ones are still there."""
    ours = os.sched_getaffinity(0)
    kept_to = dict.fromkeys(ours, 0)
    for pid in server.WORKERS:
        if Path(f"/proc/{pid}").exists() and len(kept := os.sched_getaffinity(pid)) == 1:
            kept_to.update((core, kept_to[core] + 1) for core in kept & ours)
    os.sched_setaffinity(0, {min(ours, key=lambda core: (kept_to[core], core))})
