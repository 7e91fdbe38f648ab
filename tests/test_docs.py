"""What the documents say is so: the settings, the make targets, and the README, whose blocks are run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from assay_wsgi import settings
from tests.processes import until

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


class Block(NamedTuple):
    """A fenced block, and the comment above it that says what a test may do with it."""

    how: str
    language: str
    text: str


BLOCKS = [
    Block(*found) for found in re.findall(r"(?:<!-- ([^\n]*) -->\n)?```(\w*)\n(.*?)```\n", README, flags=re.DOTALL)
]


def test_the_settings_page_is_what_the_code_says():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    assert page == settings.rendered(), "run: python -m assay_wsgi.settings > docs/settings.md"


def test_every_setting_that_is_named_anywhere_is_one():
    known = {declared.env for _, _, declared, _ in settings.declarations()}
    named = set(re.findall(r"\bASSAY_[A-Z_]+\b", README))

    assert named - known == set()


def test_help_lists_every_target_and_every_target_listed_exists():
    listed = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, flags=re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)[0].split())
    promised = {"help", "setup", "serve", "sidecar", "test", "lint", "types"}
    promised |= {"test-slow", "fuzz", "bench", "demo", "storm", "fsck", "migrate", "clean"}

    assert listed == phony == promised


def test_make_alone_is_help():
    done = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)

    assert "make serve     Run the service at http://127.0.0.1:8080" in done.stdout


def test_the_readme_names_every_target_that_an_operator_needs():
    named = set(re.findall(r"`make ([a-z-]+)", README))

    assert named == set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, flags=re.MULTILINE)) - {"help"}


def test_links_lead_somewhere():
    missing = [path for path in re.findall(r"\]\((?!http)([^)#]+)\)", README) if not (ROOT / path).exists()]

    assert missing == []


def test_every_block_of_the_readme_says_whether_it_is_run():
    silent = [block.text for block in BLOCKS if not re.match(r"runs\b|not run: .", block.how)]

    assert silent == []


class Stage:
    """A directory like a fresh clone, with a port of its own, in which the README is played."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        for name in ("assay_wsgi", "examples", "Makefile", "setup.cfg", "pyproject.toml"):
            (directory / name).symlink_to(ROOT / name)
        # The environment of these tests stands in for the one that `make setup` would make.
        commands = directory / ".venv" / "bin"
        commands.mkdir(parents=True)
        (commands.parent / ".made").touch()
        for name in ("python", "assay"):
            self._command(commands / name, "" if name == "python" else "-m assay_wsgi ")
        self._background: list[subprocess.Popen[bytes]] = []

    def _command(self, path: Path, module: str) -> None:
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {module}"$@"\n')
        path.chmod(0o755)

    def play(self, block: Block) -> None:
        """Do what the block's comment says."""
        if block.how == "runs in the background":
            self._start(block)
        elif block.how.startswith("runs until it says "):
            wanted = block.how.removeprefix("runs until it says ")
            until(lambda: wanted in self._output(block))
        else:
            assert block.how == "runs"
            self._output(block)

    def close(self) -> None:
        for process in reversed(self._background):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)

    def _start(self, block: Block) -> None:
        process = subprocess.Popen(
            ["bash", "-ec", self._text(block)], cwd=self.directory, env=self._environ(), start_new_session=True
        )
        self._background.append(process)
        until(lambda: self._answers() or process.poll() is not None)
        assert process.poll() is None

    def _answers(self) -> bool:
        try:
            return requests.get(f"http://{self.address}/readyz", timeout=10).ok
        except requests.RequestException:
            return False

    def _output(self, block: Block) -> str:
        shell = ["bash", "-ec"] if block.language == "bash" else [sys.executable, "-c"]
        done = subprocess.run(
            [*shell, self._text(block)], cwd=self.directory, env=self._environ(), capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _text(self, block: Block) -> str:
        return block.text.replace("127.0.0.1:8080", self.address)

    def _environ(self) -> dict[str, str]:
        return {**os.environ, "ASSAY_BIND": self.address, "ASSAY_ENGINE_URL": f"http://{self.address}"}


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    set_up = Stage(directory)
    try:
        yield set_up
    finally:
        set_up.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README speaks curl, and there is none here")
def test_the_readme_does_what_it_says_from_its_first_block_to_its_last(tmp_path):
    with stage(tmp_path) as clone:
        for block in BLOCKS:
            if block.how.startswith("runs"):
                clone.play(block)
