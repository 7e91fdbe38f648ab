"""A service of an example's own, and the commands of the example's docstring, run as they stand there."""

from __future__ import annotations

import ast
import itertools
import shlex
import shutil
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from assay_wsgi.sdk import Client
from bench.databases import Databases
from bench.processes import TREE
from bench.processes import Child
from bench.processes import Failed
from bench.processes import Ground
from bench.processes import free_port
from bench.processes import fsck
from bench.processes import serve
from bench.processes import wait_ready
from bench.processes import wait_until

EXAMPLES = TREE / "examples"
PATIENCE_SECS = 60.0
_PROGRAMS = {"assay": ("-m", "assay_wsgi"), "python": ()}  # run by the interpreter that runs this
_README_ADDRESS = "127.0.0.1:8080"


class Play(NamedTuple):
    """How an example is played. `plot` raises Failed, else it returns a line that says what was seen."""

    name: str
    files: Sequence[str]  # below examples/, whose docstrings hold the commands
    plot: Callable[[Stage], str]


def docstring(path: Path) -> str:
    """Read the docstring of a Python file as it stands there."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False) or ""


def commands(files: Sequence[str]) -> list[str]:
    """Read the commands in the docstrings of some examples: indented lines that begin with a program's name."""
    found = []
    for file in files:
        for line in docstring(EXAMPLES / file).replace("\\\n", " ").splitlines():
            words = line.partition(" #")[0].split()
            if line.startswith("    ") and words and words[0] in (*_PROGRAMS, "curl"):
                found.append(" ".join(words))
    return found


class Stage:
    """Where one example is played."""

    def __init__(self, ground: Ground, url: str, files: Sequence[str]) -> None:
        self.ground = ground
        self.port = free_port()
        self.database = url
        self._service = serve(ground, url, self.port)
        self._commands = commands(files)
        self._unplayed = {command for command in self._commands if not command.startswith("assay serve")}
        self._addresses = {_README_ADDRESS: f"127.0.0.1:{self.port}"}
        self._children: list[Child] = []
        self._numbers = itertools.count(1)

    @property
    def client(self) -> Client:
        """A new client: who holds none any more keeps no connection, for which the service would wait at its end."""
        return Client(f"http://127.0.0.1:{self.port}", patience=PATIENCE_SECS)

    @property
    def unplayed(self) -> set[str]:
        """The commands that a reader is told of and nobody has run yet."""
        return self._unplayed

    def port_for(self, written: int) -> int:
        """Find a free port in place of one that the docstring names."""
        port = free_port()
        self._addresses[f"127.0.0.1:{written}"] = f"127.0.0.1:{port}"
        return port

    def start(self, beginning: str, *more: str, **environ: str) -> Child:
        """Start the command that begins so, with more arguments; it is ended with the stage."""
        argv, python = self._argv(beginning, more)
        child = self.ground.start(f"child-{next(self._numbers)}", argv, self._environ(environ), python=python)
        self._children.append(child)
        return child

    def run(self, beginning: str, *more: str, **environ: str) -> str:
        """Run the command that begins so to its end; return what it printed. Raises Failed."""
        argv, python = self._argv(beginning, more)
        done = self.ground.run(argv, self._environ(environ), python=python)
        if done.returncode:
            raise Failed(f"{beginning} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Wait until it is so. Raises Failed, at once when a process has ended that nobody asked to."""

        def looked() -> bool:
            self.check()
            return done()

        wait_until(looked, PATIENCE_SECS, what)

    def check(self) -> None:
        """Raise Failed when a process has ended."""
        for child in self._children:
            if not child.alive:
                raise Failed(f"{child.name} ended with {child.process.returncode}:\n{child.tail()}")

    def kill(self, child: Child) -> None:
        """kill -9 a process that was started here."""
        self._children.remove(child)
        child.kill()

    def wait_ready(self) -> None:
        """Wait until the service is ready."""
        wait_ready(self._service, self.port)

    def restart_service(self) -> None:
        """Have the service away for a moment."""
        self._service.stop()
        self._service = serve(self.ground, self.database, self.port)
        self.wait_ready()

    def close(self) -> None:
        """End everything, the service last."""
        for child in (*reversed(self._children), self._service):
            child.stop()

    def _argv(self, beginning: str, more: Sequence[str]) -> tuple[list[str], bool]:
        found = [command for command in self._commands if command.startswith(beginning)]
        found = [beginning] if beginning in found else found
        if len(found) != 1:
            raise Failed(f"{len(found)} commands of the docstrings begin with '{beginning}', one should")
        self._unplayed.discard(found[0])
        command = found[0]
        for written, real in self._addresses.items():
            command = command.replace(written, real)
        program, *argv = shlex.split(command)
        if program in _PROGRAMS:
            return [*_PROGRAMS[program], *argv, *more], True
        if shutil.which(program) is None:
            raise Failed(f"there is no {program} here, and its docstring speaks {program}")
        return [program, *argv, *more], False

    def _environ(self, more: dict[str, str]) -> dict[str, str]:
        return {"ASSAY_ENGINE_URL": f"http://127.0.0.1:{self.port}", **more}


def played(play: Play, place: Databases, directory: Path) -> str:
    """Play an example and return what was seen. Raises Failed."""
    ground = Ground(directory)
    with place.fresh() as url:
        stage = Stage(ground, url, play.files)
        try:
            stage.wait_ready()
            seen = play.plot(stage)
            stage.check()
        finally:
            stage.close()
        if stage.unplayed:
            raise Failed(f"its docstring names what is not played: {'; '.join(stage.unplayed)}")
        if dirty := fsck(ground, url):
            raise Failed(f"fsck: {dirty}")
    return seen
