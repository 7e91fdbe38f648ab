"""`assay completion`: the scripts that it prints complete commands and options."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay_wsgi.cli.main import COMMANDS
from assay_wsgi.cli.main import cli

SHELLS = ("bash", "zsh", "fish", "powershell", "elvish")


@pytest.fixture
def script():
    def printed(shell):
        result = CliRunner().invoke(cli, ["completion", shell])
        assert result.exit_code == 0
        return result.output

    return printed


@pytest.fixture
def shell(tmp_path):
    """Runs a shell that finds `assay` on its PATH."""
    program = tmp_path / "assay"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m assay_wsgi "$@"\n')
    program.chmod(0o755)

    def run(*argv):
        environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        repository = Path(__file__).parents[2]
        return subprocess.run(argv, capture_output=True, text=True, check=True, env=environ, cwd=repository).stdout

    return run


def in_bash(shell, script, *words):
    """What bash completes the last of the words to."""
    typed = " ".join(f"'{word}'" for word in ("assay", *words))
    ask = (
        f"COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _assay_completion assay; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return shell("bash", "-c", f"{script}\n{ask}").split()


@pytest.mark.parametrize("name", SHELLS)
def test_each_script_says_how_to_install_it(script, name):
    comments = [line for line in script(name).splitlines() if line.startswith("# ")]

    assert any(f"assay completion {name}" in line for line in comments)


def test_bash_completes_commands_subcommands_and_options(shell, script):
    printed = script("bash")

    assert set(in_bash(shell, printed, "")) == {*COMMANDS, "version"}
    assert in_bash(shell, printed, "completion", "") == list(SHELLS)
    assert in_bash(shell, printed, "db", "mig") == ["migrate"]
    assert {"--backend", "--force", "--no-check"} <= set(in_bash(shell, printed, "db", "backup", "--"))


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_subcommands(shell, script, tmp_path):
    (tmp_path / "assay.fish").write_text(script("fish"))

    assert "migrate" in shell("fish", "--no-config", "-c", f"source {tmp_path}/assay.fish; complete -C 'assay db mi'")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_can_read_its_script(shell, script, tmp_path):
    (tmp_path / "script").write_text(script("zsh"))

    shell("zsh", "-n", str(tmp_path / "script"))


def test_zsh_finds_its_mark_on_the_first_line(script):
    assert script("zsh").startswith("#compdef assay\n")


def test_elvish_asks_in_words_that_click_understands(script):
    """The script is text to us; what it sends and what it gets back is checked here."""
    printed = script("elvish")
    assert "_ASSAY_COMPLETE=fish_complete COMP_WORDS=$line COMP_CWORD=$words[-1] assay" in printed

    environ = {**os.environ, "_ASSAY_COMPLETE": "fish_complete", "COMP_WORDS": "assay db mi", "COMP_CWORD": "mi"}
    answer = subprocess.run(
        [sys.executable, "-c", "from assay_wsgi.__main__ import main; main()"],
        capture_output=True, text=True, check=True, env=environ,
    )  # fmt: skip
    assert answer.stdout.startswith("plain,migrate\tBring the database's schema")


def test_a_reader_that_leaves_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "assay_wsgi", "completion", "powershell"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert (process.wait(), said) == (0, b"")


def test_a_shell_that_is_not_known_is_refused_with_those_that_are():
    result = CliRunner().invoke(cli, ["completion", "tcsh"])

    assert result.exit_code == 2
    for name in SHELLS:
        assert name in result.output
