"""Signals that come at the worst moment, and ends that do not wait."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from threading import Event

import pytest

from assay_wsgi.cli.processes import lifeline


def run(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_bell_is_heard_in_a_thread_of_its_own():
    import os

    heard = Event()
    ring = lifeline.bell(heard.set)

    os.write(ring, b".")

    assert heard.wait(60)
    os.close(ring)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_interrupts_the_start_of_a_thread_is_heard_all_the_same(number):
    done = run(
        f"""
        import os, signal, sys, threading
        from assay_wsgi.cli.processes import sidecar
        from assay_wsgi.settings import Settings

        stop = sidecar._stop_event(Settings())
        with threading._active_limbo_lock:  # as inside Thread.start(), which nobody else can enter now
            os.kill(os.getpid(), {int(number)})
        print("heard" if stop.wait(30) else "deaf", flush=True)
        """
    )

    assert done.stdout == "heard\n"


def test_a_process_that_hangs_is_gone_all_the_same():
    done = run(
        """
        import signal
        from assay_wsgi.cli.processes import lifeline

        lifeline.exit_within(0.05)
        while True:
            signal.pause()
        """
    )

    assert done.returncode == 1
