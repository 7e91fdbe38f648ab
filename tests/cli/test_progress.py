"""How far something has come is told on a terminal, and nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

SCRIPT = """
from assay_wsgi.cli.progress import Progress
with Progress(quiet_secs=0) as progress:
    progress("copying", 3, 12)
print("done")
"""


def test_a_terminal_shows_a_line_that_is_gone_at_the_end():
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", SCRIPT], stderr=theirs, stdout=subprocess.PIPE, check=True)
    os.close(theirs)
    shown = os.read(ours, 4096)
    os.close(ours)

    assert done.stdout == b"done\n"
    assert shown == b"\r\x1b[Kcopying 25 %\r\x1b[K"


def test_a_pipe_gets_nothing():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)

    assert (done.stdout, done.stderr) == (b"done\n", b"")
