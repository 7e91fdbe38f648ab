"""The three ways of embedding that examples/embedding shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.embedding import in_flask
from examples.embedding import in_transaction
from examples.embedding import library

ROOT = Path(__file__).parent.parent


def test_as_a_library(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert library.main(sqlite_url) == "PENDING"
    assert library.main(sqlite_url) == "PENDING"
    assert capsys.readouterr().out == "ingest-7 is on its way already\n"


def test_in_a_flask_application(sqlite_url: str) -> None:
    app = in_flask.make_app(sqlite_url)
    client = app.test_client()

    started = client.post("/greet/Ada").get_json()

    assert client.get(f"/flow/api/v1/workflows/{started['workflow_id']}").get_json()["workflow_type"] == "GreetWorkflow"
    app.extensions["assay_wsgi"].close()


def test_in_a_transaction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_transaction.main(str(tmp_path / "shop.db")) == ["7: PENDING", "8: PENDING"]
    assert capsys.readouterr().out == "order 7 is there already: it was not started again\n"


def test_they_pass_the_strict_type_check(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "-p", "examples.embedding"],
        cwd=ROOT, env={**os.environ, "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")}, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
