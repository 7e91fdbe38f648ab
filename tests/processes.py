"""Waiting for what other processes do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

PATIENCE_SECS = 60.0  # a guard against hangs; a busy machine is no failure

Found = TypeVar("Found")


def until(condition: Callable[[], Found]) -> Found:
    """Wait until the condition gives something, and answer it."""
    limit = time.monotonic() + PATIENCE_SECS
    while not (found := condition()):
        if time.monotonic() > limit:
            raise AssertionError("what was waited for did not come")
        time.sleep(0.01)
    return found


def gone(pid: int) -> bool:
    """The process has ended (whether or not its parent has taken note)."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def children(pid: int) -> list[int]:
    """The processes that a process has started and that have not ended, oldest first."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.name))
    return sorted(found)


def command_line(pid: int) -> str:
    """How a process was started; empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""
