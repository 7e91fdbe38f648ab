"""What `mypy --strict` says about programs that use the SDK: of good ones nothing, of wrong ones what is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = Path(__file__).parent / "typed"


def said_by_mypy() -> dict[tuple[str, int], str]:
    """Every error in the folder, by file and line."""
    command = "-m mypy --strict --explicit-package-bases --no-error-summary --hide-error-codes"
    done = subprocess.run(
        [sys.executable, *command.split(), str(PROGRAMS)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stderr == ""
    said: defaultdict[tuple[str, int], str] = defaultdict(str)
    for path, line, text in re.findall(r"^(\S+?):(\d+): error: (.*)$", done.stdout, flags=re.MULTILINE):
        said[path.rpartition("/")[2], int(line)] += text + "\n"
    return dict(said)


def test_wrong_calls_are_errors_and_good_programs_are_not() -> None:
    expected = {
        (path.name, number): line.partition("# wrong: ")[2]
        for path in PROGRAMS.glob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "# wrong: " in line
    }

    said = said_by_mypy()

    assert len(expected) >= 40
    assert {where: text for where, text in said.items() if where not in expected} == {}
    assert {where: words for where, words in expected.items() if words not in said.get(where, "")} == {}
