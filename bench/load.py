"""A load client that costs little beside what it measures: raw sockets, kept alive, one thread, one epoll.

Run as a process of its own, `python -m bench.load`: reads an order (JSON) from standard input, writes what it
saw (JSON) to standard output.
"""

from __future__ import annotations

import dataclasses
import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

_NUMBER = "%N"  # in a template: the item's number


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to send. `total` requests, or as many as fit into `secs`."""

    port: int
    path: str
    item: str  # JSON text; %N becomes the item's number
    connections: int
    method: str = "POST"
    batch: int = 0  # 0: the item is the body; n: {"workflows": [n items]}
    first: int = 0  # number of the first item
    total: int | None = None
    secs: float | None = None


@dataclass(kw_only=True)
class Seen:
    """What came of it."""

    requests: int = 0
    secs: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    worst_ms: float = 0.0
    refused: int = 0  # answers other than 2xx, and items of a batch that were refused
    first_refusal: str = ""
    sent: int = 0  # with those whose answer came too late to be counted
    latencies: list[float] = field(default_factory=list, repr=False)


class Line:
    """One connection and the request that it waits for."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.heard = b""
        self.awaited = -1  # length of the whole answer, once its head is there

    def send(self, request: bytes) -> None:
        self.heard = b""
        self.awaited = -1
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take what is there; whether the answer is complete."""
        some = self.socket.recv(262_144)
        if not some:
            raise ConnectionError("the server closed a connection that waited for an answer")
        self.heard = self.heard + some if self.heard else some
        if self.awaited < 0:
            head = self.heard.find(b"\r\n\r\n")
            if head < 0:
                return False
            lowered = self.heard[:head].lower()
            at = lowered.find(b"content-length:")
            if at < 0:
                raise ConnectionError("an answer without Content-Length")
            self.awaited = head + 4 + int(lowered[at + 15 :].split(b"\r\n", 1)[0])
        return len(self.heard) >= self.awaited


def requests_of(order: Order) -> Iterator[bytes]:
    """The requests of an order, one after the other."""
    head = (
        f"{order.method} {order.path} HTTP/1.1\r\nHost: 127.0.0.1:{order.port}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )
    number = order.first
    sent = 0
    while order.total is None or sent < order.total:
        if order.batch:
            items = ",".join(order.item.replace(_NUMBER, str(number + at)) for at in range(order.batch))
            body = f'{{"workflows":[{items}]}}'
            number += order.batch
        else:
            body = order.item.replace(_NUMBER, str(number))
            number += 1
        sent += 1
        yield f"{head}{len(body)}\r\n\r\n{body}".encode()


def fire(order: Order) -> Seen:
    """Send it all, as fast as the answers come."""
    seen = Seen()
    requests = requests_of(order)
    lines = {line.socket.fileno(): line for line in (Line(order.port) for _ in range(order.connections))}
    poll = select.epoll()
    started = time.perf_counter()
    until = None if order.secs is None else started + order.secs
    waiting = 0
    for fd, line in lines.items():
        poll.register(fd, select.EPOLLIN)
        waiting += _send_next(line, requests, seen)
    while waiting:
        for fd, _ in poll.poll():
            line = lines[fd]
            if not line.receive():
                continue
            now = time.perf_counter()
            waiting -= 1
            _judge(line.heard, order, seen)
            if until is None or now <= until:
                seen.latencies.append((now - line.sent_at) * 1000)
                seen.secs = now - started
                waiting += _send_next(line, requests, seen)
    for line in lines.values():
        line.socket.close()
    seen.requests = len(seen.latencies)
    if until is not None and order.secs is not None and seen.requests:
        seen.secs = order.secs
    ranked = sorted(seen.latencies)
    if ranked:
        seen.p50_ms, seen.p99_ms, seen.worst_ms = quantile(ranked, 0.5), quantile(ranked, 0.99), ranked[-1]
    return seen


def _send_next(line: Line, requests: Iterator[bytes], seen: Seen) -> int:
    request = next(requests, None)
    if request is None:
        return 0
    line.send(request)
    seen.sent += 1
    return 1


def _judge(answer: bytes, order: Order, seen: Seen) -> None:
    good = answer[9:10] == b"2" and (not order.batch or answer.count(b'"run_id":"') == order.batch)
    if not good:
        seen.refused += 1
        seen.first_refusal = seen.first_refusal or answer[:600].decode(errors="replace")


def quantile(ranked: list[float], share: float) -> float:
    """The value below which that share of the sorted values lies."""
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def main() -> None:
    """One order, one answer."""
    seen = fire(Order(**json.load(sys.stdin)))
    answer = dataclasses.asdict(seen)
    del answer["latencies"]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
