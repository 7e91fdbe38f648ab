"""Every example does what its docstring says: the commands that stand there are the commands that are run."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from bench.databases import databases
from bench.processes import Failed

from . import __main__ as runner
from .plays import PLAYS
from .stage import EXAMPLES
from .stage import Play
from .stage import Stage
from .stage import commands
from .stage import docstring
from .stage import played


@pytest.mark.skipif(shutil.which("curl") is None, reason="docstrings speak curl, and there is none here")
@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.name)
def test_an_example_does_what_its_docstring_says(play: Play, tmp_path: Path) -> None:
    with databases("sqlite") as place:
        assert played(play, place, tmp_path)


def test_no_command_of_an_example_is_left_out() -> None:
    played_programs = {program(command) for play in PLAYS for command in commands(play.files)}

    assert {
        str(path.relative_to(EXAMPLES)): missing
        for path in EXAMPLES.rglob("*.py")
        if (missing := {program(command) for command in commands([str(path)])} - played_programs)
    } == {}


def program(command: str) -> str:
    """Leave out the options: a second docstring may describe them."""
    return " ".join(command.split()[:3])


def test_docstrings_are_short_enough_to_be_read() -> None:
    lengths = {str(path): len(docstring(path).strip().splitlines()) for path in EXAMPLES.rglob("*.py")}

    assert {path: length for path, length in lengths.items() if length > 10} == {}


def test_examples_that_fail_are_named_with_their_reasons(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def wrong(stage: Stage) -> str:
        raise Failed("it printed nothing")

    def broken(stage: Stage) -> str:
        raise ValueError("no such order")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # what failed is kept there
    monkeypatch.setattr(runner, "PLAYS", (Play("wrong", (), wrong), Play("broken", (), broken)))

    assert runner.main([]) == 1
    said = capsys.readouterr().out
    assert "FAILED: it printed nothing" in said
    assert "FAILED: ValueError('no such order')" in said


def test_a_command_that_nobody_runs_is_a_failure(tmp_path: Path) -> None:
    idle = Play("idle", ("hello.py",), lambda stage: "nothing")

    with databases("sqlite") as place, pytest.raises(Failed, match=r"not played: .*assay worker examples\.hello:app"):
        played(idle, place, tmp_path)
