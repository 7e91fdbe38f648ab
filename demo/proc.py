"""What Linux says of the processes: who is whose child, and which one holds the other end of a connection."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> dict[int, str]:
    """The child processes of a process, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(after_name[1]) == pid and after_name[0] not in ("Z", "X"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def holder_of_other_end(connection: socket.socket, among: Iterable[int]) -> int | None:
    """Which of these processes holds the server's end of a connection over loopback; None: none of them."""
    inode = _inode(remote=connection.getsockname()[1], local=connection.getpeername()[1])
    if not inode:
        return None
    wanted = f"socket:[{inode}]"
    for pid in among:
        with suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{fd}") == wanted:
                        return pid
    return None


def _inode(*, local: int, remote: int) -> str:
    """The kernel's number of a socket, by the ports of its two ends; empty while nobody has accepted it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{local:04X}") and fields[2].endswith(f":{remote:04X}"):
            return "" if fields[9] == "0" else fields[9]
    return ""
