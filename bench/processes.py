"""The service and its workers as processes, started the way a user starts them, and always ended.

They run in a *ground*: a directory that holds links to the code they are to run, so that another commit's
`assay_wsgi` can be measured with this `bench`.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
READY_SECS = 30.0
STOP_SECS = 40.0


class Failed(Exception):
    """Something that is needed for a figure did not happen. The text is for people."""


class Ground:
    """A directory to run the code of one commit in."""

    def __init__(self, directory: Path, code: Path = TREE) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        for name, home in (("assay_wsgi", code), ("bench", TREE), ("demo", TREE), ("examples", TREE)):
            link = directory / name
            if not link.is_symlink():
                link.symlink_to(home / name)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        environ: Mapping[str, str] | None = None,
        *,
        python: bool = True,
        process_group: int | None = None,
    ) -> Child:
        """Start a process here; what it says goes to `<name>.log`."""
        log = self.directory / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, *argv] if python else list(argv),
                cwd=self.directory,
                # Our own place first: `python -m` looks in the working directory, console scripts do not.
                env={**os.environ, "PYTHONPATH": str(self.directory), **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=process_group,
            )
        return Child(name, process, log)

    def run(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str] | None = None,
        *,
        given: str | None = None,
        python: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a process to its end and return what it said."""
        return subprocess.run(
            [sys.executable, *argv] if python else list(argv),
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(self.directory), **(environ or {})},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )


class Child:
    """A process of ours."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def stop(self, secs: float = STOP_SECS) -> bool:
        """Ask it to end, wait, kill it if it does not. Answers whether it ended by itself."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(secs)
            except subprocess.TimeoutExpired:
                self.kill()
                return False
        return True

    def tail(self, lines: int = 15) -> str:
        """The last that it said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def ending(child: Child) -> Iterator[Child]:
    """Have a process ended when the block ends."""
    try:
        yield child
    finally:
        child.stop()


def free_port() -> int:
    """Find a port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(done: Callable[[], bool], secs: float, what: str, every: float = 0.05) -> None:
    """Look until it is so. Raises Failed after `secs`."""
    limit = time.monotonic() + secs
    while not done():
        if time.monotonic() > limit:
            raise Failed(f"{what}: not within {secs:g} s")
        time.sleep(every)


def get(port: int, path: str, timeout: float = 5.0) -> tuple[int, bytes]:
    """GET from loopback. Raises OSError and http.client.HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_ready(child: Child, port: int, *, sidecar: bool = True) -> None:
    """Wait until the service is ready, its sidecar leading. Raises Failed with what the process said."""

    def ready() -> bool:
        if not child.alive:
            raise Failed(f"{child.name} ended with {child.process.returncode}:\n{child.tail()}")
        with suppress(OSError, http.client.HTTPException):
            status, body = get(port, "/readyz")
            return status == 200 and (not sidecar or b'"sidecar_leads":true' in body)
        return False

    try:
        wait_until(ready, READY_SECS, f"{child.name} is ready")
    except Failed as late:
        raise Failed(f"{late}\n{child.tail()}") from None


def serve(ground: Ground, url: str, port: int) -> Child:
    """Start `assay serve` on a database. `wait_ready` waits for it."""
    return ground.start("serve", ("-m", "assay_wsgi", "serve", "--backend", url, "--port", str(port)))


@contextmanager
def service(ground: Ground, url: str) -> Iterator[int]:
    """Run `assay serve` on a database for as long as the block lasts. Gives its port."""
    port = free_port()
    with ending(serve(ground, url, port)) as child:
        wait_ready(child, port)
        yield port


def fsck(ground: Ground, url: str) -> str | None:
    """Run `assay fsck`. None when the database is clean, else what it said."""
    done = ground.run(("-m", "assay_wsgi", "fsck", "--backend", url))
    return None if done.returncode == 0 else f"{done.stdout}{done.stderr}".strip()
