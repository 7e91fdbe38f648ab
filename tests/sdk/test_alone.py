"""The SDK where only `requests` is installed, and on the oldest Python that it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.pythons import python_3_9

ROOT = Path(__file__).parent.parent.parent
STORY = Path(__file__).with_name("alone.py")
NEEDED = ("requests", "urllib3", "certifi", "idna", "charset_normalizer")


BOOT = f"""
import importlib.util, runpy, sys
sys.path[:0] = sys.argv[1:]
if importlib.util.find_spec("requests") is None:  # a Python's own pip has one inside
    import pip._vendor.requests
    for name in [name for name in sys.modules if name.startswith("pip._vendor.")]:
        sys.modules[name.replace("pip._vendor.", "")] = sys.modules[name]
runpy.run_path({str(STORY)!r})
print(*sys.version_info[:2])
"""


def told(python: str, *paths: Path) -> str:
    """What the story comes to in a Python that finds its standard library and these paths only."""
    argv = [python, "-I", "-S", "-B", "-c", BOOT, *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A directory with nothing in it but assay_wsgi."""
    home = tmp_path / "package"
    home.mkdir()
    (home / "assay_wsgi").symlink_to(ROOT / "assay_wsgi")
    return home


def test_it_needs_nothing_but_requests(package: Path, tmp_path: Path) -> None:
    only = tmp_path / "only"
    only.mkdir()
    for name in NEEDED:
        (only / name).symlink_to(Path(requests.__file__).parent.parent / name)

    assert told(sys.executable, package, only) == f"{sys.version_info[0]} {sys.version_info[1]}"


def test_it_runs_on_python_3_9(package: Path) -> None:
    python = python_3_9()
    if python is None:
        pytest.skip("there is no Python 3.9 on the PATH or among pyenv's")
    where = "import ensurepip, pathlib; print(*pathlib.Path(ensurepip.__file__).parent.glob('_bundled/pip-*.whl'))"
    pip = subprocess.run([python, "-I", "-c", where], capture_output=True, text=True, check=True).stdout.strip()
    if not pip:
        pytest.skip("this Python 3.9 has no pip in it, whose requests it could use")

    assert told(python, package, Path(pip)) == "3 9"
