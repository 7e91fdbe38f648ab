"""What systemd is told of a `Type=notify` service: that it serves, reloads, ends."""

from __future__ import annotations

import logging
import socket
import time

log = logging.getLogger(__name__)

READY = "READY=1"
STOPPING = "STOPPING=1"


def reloading() -> str:
    """Say that a reload begins; READY ends it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def tell(address: str | None, state: str) -> None:
    """Send a state to the service manager's datagram socket; where there is none, do nothing."""
    if address is None:
        return
    path = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.sendto(state.encode(), path)
    except OSError as error:
        log.warning("the service manager at %s cannot be told %s: %s", address, state.partition("\n")[0], error)
