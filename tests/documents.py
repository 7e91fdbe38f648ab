"""The documents, and a stage like a fresh clone on which their blocks are played.

An HTML comment above a fenced block says what is done with it:

    runs                            its exit code must be 0
    runs until it says WORDS        again and again, until its output holds the words
    fails with CODE                 its exit code must be this one
    runs in the background          until the document ends
    writes PATH                     the block becomes a file of the stage
    output                          what the block before has printed; `...` stands for anything
    not run: WHY                    WHY names the test that does it instead

Blocks in one of the SHOWN languages may do without.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import requests

from tests.processes import until

ROOT = Path(__file__).parent.parent
SHOWN = frozenset({"text", "json", "http"})  # languages of blocks that are only looked at
HOW = re.compile(
    r"runs|runs until it says .+|fails with \d+|runs in the background|writes [\w./-]+|output|not run: .+", re.DOTALL
)

_FENCED = re.compile(
    r"(?:^[ ]*<!-- (?P<how>[^\n]*?) -->\n)?^(?P<indent>[ ]*)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    flags=re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A fenced block, and what the comment above it says is done with it."""

    how: str
    language: str
    text: str


class Document(NamedTuple):
    """A Markdown file of the project."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def blocks(self) -> list[Block]:
        found = []
        for match in _FENCED.finditer(self.text):
            lines = match["text"].splitlines(keepends=True)
            text = "".join(line.removeprefix(match["indent"]) for line in lines)
            found.append(Block(match["how"] or "", match["language"], text))
        return found

    @property
    def played(self) -> list[Block]:
        """The blocks that something is done with."""
        return [block for block in self.blocks if block.how and not block.how.startswith("not run: ")]


def documents() -> list[Document]:
    """Every Markdown file that people read."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
    return [Document(path, path.read_text(encoding="utf-8")) for path in sorted(paths)]


class Stage:
    """A directory like a fresh clone, with ports of its own, in which a document is played."""

    def __init__(self, directory: Path, scripts: Path) -> None:
        self.directory = directory
        self._scripts = scripts
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            self.address = f"127.0.0.1:{one.getsockname()[1]}"
            self._beside = str(other.getsockname()[1])
        for path in ROOT.iterdir():
            if not path.name.startswith(".") and path.suffix != ".db":
                (directory / path.name).symlink_to(path)
        # The environment of these tests stands in for the one that `make setup` would make.
        commands = directory / ".venv" / "bin"
        commands.mkdir(parents=True)
        (commands.parent / ".made").touch()
        for name in ("python", "assay"):
            self._command(commands / name, "" if name == "python" else "-m assay_wsgi ")
        self._background: list[subprocess.Popen[bytes]] = []
        self._said = ""

    def _command(self, path: Path, module: str) -> None:
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {module}"$@"\n')
        path.chmod(0o755)

    def play(self, block: Block) -> None:
        """Do what the block's comment says."""
        verb, _, rest = block.how.partition(" ")
        if block.how == "runs in the background":
            self._start(block)
        elif block.how.startswith("runs until it says "):
            wanted = block.how.removeprefix("runs until it says ")
            until(lambda: wanted in self._run(block, 0))
        elif verb == "fails":
            self._run(block, int(rest.removeprefix("with ")))
        elif verb == "writes":
            path = self.directory / rest
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._text(block), encoding="utf-8")
        elif verb == "output":
            pattern = re.escape(self._text(block).strip()).replace(re.escape("..."), ".*?")
            assert re.fullmatch(pattern, self._said.strip(), flags=re.DOTALL), f"it said:\n{self._said}"
        else:
            assert block.how == "runs"
            self._run(block, 0)

    def close(self) -> None:
        for process in reversed(self._background):
            with suppress(ProcessLookupError):  # the document may have ended it
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)

    def _start(self, block: Block) -> None:
        process = subprocess.Popen(
            self._command_of(block), cwd=self.directory, env=self._environ(), start_new_session=True
        )
        self._background.append(process)
        until(lambda: self._answers() or process.poll() is not None)
        assert process.poll() is None

    def _answers(self) -> bool:
        try:
            return requests.get(f"http://{self.address}/readyz", timeout=10).ok
        except requests.RequestException:
            return False

    def _run(self, block: Block, code: int) -> str:
        done = subprocess.run(
            self._command_of(block), cwd=self.directory, env=self._environ(), capture_output=True, text=True
        )
        assert done.returncode == code, f"{block.text}\nended with {done.returncode}\n{done.stdout}{done.stderr}"
        self._said = done.stdout + done.stderr
        return self._said

    def _command_of(self, block: Block) -> list[str]:
        """Put the block into a file outside the stage: its words must not stand in a command line that it may kill."""
        script = self._scripts / str(len(list(self._scripts.iterdir())))
        script.write_text(self._text(block), encoding="utf-8")
        return ["bash", "-e", str(script)] if block.language == "bash" else [sys.executable, str(script)]

    def _text(self, block: Block) -> str:
        return block.text.replace("127.0.0.1:8080", self.address).replace("9000", self._beside)

    def _environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "ASSAY_BIND": self.address,
            "ASSAY_ENGINE_URL": f"http://{self.address}",
            "PYTHONPATH": str(self.directory),  # as if its Python blocks were typed in there
        }


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """Set a stage, and clear it in the end."""
    with tempfile.TemporaryDirectory() as scripts:
        set_up = Stage(directory, Path(scripts))
        try:
            yield set_up
        finally:
            set_up.close()
