"""`assay sidecar` by itself: what it waits for before it can do its duties."""

from __future__ import annotations

import subprocess
import sys

from assay_wsgi.store.store import Store
from tests.processes import until


def test_a_file_that_is_not_there_is_waited_for_and_not_made(tmp_path):
    path, said = tmp_path / "typo.db", tmp_path / "said"
    argv = [sys.executable, "-m", "assay_wsgi", "sidecar", "--backend", f"sqlite://{path}"]
    with said.open("w") as output, subprocess.Popen(argv, stderr=output, stdout=output) as sidecar:
        try:
            told = f"no database at sqlite://{path}, next try in "
            until(lambda: said.read_text().count(told) > 1)
            assert "there is no such file; `assay serve` or `assay db migrate` makes it" in said.read_text()
            assert not path.exists()

            Store.open(f"sqlite://{path}").close()

            until(lambda: "leading owner=" in said.read_text())
        finally:
            sidecar.terminate()
    assert sidecar.returncode == 0
