"""Valid requests of every route, bent at random, sent as raw bytes; what must never happen is counted.

`python -m tests.fuzz.raw` runs a long one by hand (`make fuzz`); the seed that is printed repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from assay_wsgi.store import fsck
from assay_wsgi.store.store import Store
from tests.live import Live
from tests.live import live
from tests.live import read_reply
from tests.live import send_all

THREADS = 6
GUARD_SECS = 60.0  # longer than any answer takes on a busy machine: beyond it the service hangs
API = "/api/v1"

Json = Any

_ATTEMPT = {"worker_id": "w", "queue": "main"}
CORPUS: tuple[tuple[str, str, Json], ...] = (
    ("GET", "/livez", None),
    ("GET", "/readyz", None),
    ("GET", "/workflow/", None),
    ("GET", f"{API}/health", None),
    ("GET", f"{API}/version", None),
    ("GET", f"{API}/openapi.json", None),
    ("POST", f"{API}/workflows", {"workflow_type": "T", "workflow_id": "a", "id_conflict": "use_existing"}),
    ("POST", f"{API}/workflows", {"workflow_type": "T", "input": [1, {"b": None}], "search_attributes": {"k": 1}}),
    ("POST", f"{API}/workflows", {"workflow_type": "T", "workflow_id": "a", "namespace": "n", "task_queue": "main",
                                  "id_conflict": "terminate_existing", "id_reuse": "allow_failed_only"}),
    ("POST", f"{API}/workflows/batch", {"workflows": [{"workflow_type": "T", "workflow_id": "b"}, {}]}),
    ("GET", f"{API}/workflows?status=RUNNING&type=T&limit=5&search_attrs=%7B%22k%22:1%7D&created_after=1.5", None),
    ("GET", f"{API}/workflows?cursor=WzEuMCwxXQ&limit=2&offset=1", None),
    ("GET", f"{API}/workflows/a?namespace=main", None),
    ("GET", f"{API}/workflows/a%2Fb?run_id=run-a-1", None),
    ("GET", f"{API}/workflows/a/events?after_seq=1&limit=2&order=desc", None),
    ("GET", f"{API}/workflows/a/children?limit=3", None),
    ("GET", f"{API}/workflows/a/tree?limit=3", None),
    ("GET", f"{API}/workflows/a/state", None),
    ("GET", f"{API}/workflows/a/state/step", None),
    ("POST", f"{API}/workflows/a/signal/go", {"payload": {"a": [1.5]}, "signal_id": "s"}),
    ("POST", f"{API}/workflows/b/signal-with-start", {"signal": "go", "workflow_type": "T", "payload": 1}),
    ("POST", f"{API}/workflows/b/retry-now", {"activities": False}),
    ("POST", f"{API}/workflows/b/cancel", {"reason": "why not"}),
    ("POST", f"{API}/workflows/b/terminate", []),
    ("POST", f"{API}/workflows/a/continue-as-new", {"input": [1], "workflow_id": "a", "task_queue": "main"}),
    ("POST", f"{API}/workflows/a/activities", {"name": "charge", "seq": 1, "max_attempts": 2, "jitter": 0.5}),
    ("GET", f"{API}/activities/1", None),
    ("POST", f"{API}/workers/register", {"identity": "w", "queue": "main", "workflows": ["T"], "activities": []}),
    ("POST", f"{API}/workers/heartbeat", {"worker_id": "w"}),
    ("GET", f"{API}/workers?limit=3", None),
    ("GET", f"{API}/queues?namespace=main", None),
    ("GET", f"{API}/backlog?namespace=main", None),
    ("GET", f"{API}/events?after=oldest&limit=2&type=workflow_started,workflow_failed&namespace=main", None),
    ("GET", f"{API}/events?after=0a-1-1&workflow_id=a&wait=0", None),
    ("GET", f"{API}/ws?after=0a-1-1", None),
    ("GET", f"{API}/events/stream?last_event_id=0a-1-1&namespace=main", None),
    ("POST", f"{API}/workflow-tasks/poll", _ATTEMPT),
    ("POST", f"{API}/workflow-tasks/a/commands", {"worker_id": "w", "commands": [
        {"type": "ScheduleActivity", "name": "charge", "seq": 1, "input": {"n": 1}},
        {"type": "RecordSideEffect", "seq": 2, "name": "now", "value": 1.5},
        {"type": "UpsertSearchAttributes", "patch": {"k": "v"}},
        {"type": "RecordSnapshot", "state": {"step": 1}}, {"type": "WaitForSignal", "name": "go"},
        {"type": "WaitForCondition", "name": "all_there"}]}),
    ("POST", f"{API}/workflow-tasks/a/commands", {"worker_id": "w", "commands": [
        {"type": "ScheduleTimer", "seq": 3, "duration_secs": 1.5}, {"type": "CancelTimer", "timer_seq": 3},
        {"type": "CancelActivity", "activity_seq": 1}, {"type": "RequestCancelChild", "workflow_id": "c"},
        {"type": "StartChildWorkflow", "workflow_type": "T", "workflow_id": "c", "seq": 4, "parent_close": "abandon"},
        {"type": "WaitForSignal", "name": "go", "timer_seq": 3}]}),
    ("POST", f"{API}/workflow-tasks/a/commands", {"worker_id": "w", "commands": [
        {"type": "ContinueAsNew", "workflow_id": "a", "input": 1, "unread_signals": [2]}]}),
    ("POST", f"{API}/workflow-tasks/a/commands", {"worker_id": "w", "commands": [{"type": "CompleteWorkflow"}]}),
    ("POST", f"{API}/workflow-tasks/a/commands", {"worker_id": "w", "commands": [{"type": "FailWorkflow",
                                                                                 "error": "no"}]}),
    ("POST", f"{API}/workflow-tasks/a/fail", {"worker_id": "w", "cause": "bug", "message": "m", "trace": "t"}),
    ("POST", f"{API}/workflow-tasks/a/heartbeat", {"task_token": "w.1.x"}),
    ("POST", f"{API}/tasks/poll", {**_ATTEMPT, "namespace": "main", "wait_secs": 0}),
    ("POST", f"{API}/tasks/65536/complete", {"result": [1]}),
    ("POST", f"{API}/tasks/65536/fail", {"error": "no", "details": {"a": 1}, "non_retryable": False}),
    ("POST", f"{API}/tasks/65536/heartbeat", {"details": 1}),
    ("POST", f"{API}/tasks/65536/release", {"task_token": "a.1.1.x"}),
    ("POST", f"{API}/workers/x/exchange", {
        "worker": {"identity": "x", "workflows": ["T"], "sdk": "s/1"}, "session": "s", "n": 1, "lost": [0],
        "queue": "main", "workflow_slots": 1, "activity_slots": 1, "cached_runs": {"run-a-1": 1},
        "workflow_results": [{"task_token": "w.1.x", "commands": [{"type": "WaitForSignal", "name": "go"}]}],
        "activity_results": [{"task_token": "a.1.1.x", "failure": {"error": "e"}}],
        "heartbeats": [{"task_token": "a.1.1.x", "details": None}]}),
    ("POST", f"{API}/namespaces", {"name": "n"}),
    ("GET", f"{API}/namespaces", None),
    ("GET", f"{API}/namespaces/main", None),
    ("DELETE", f"{API}/namespaces/n?force=true", None),
    ("POST", f"{API}/schedules", {
        "name": "s", "workflow_type": "T", "cron_expr": "0 2 * * *", "timezone": "Europe/Berlin", "input": [1],
        "overlap_policy": "queue"}),
    ("GET", f"{API}/schedules?namespace=main&limit=5", None),
    ("GET", f"{API}/schedules/s", None),
    ("PATCH", f"{API}/schedules/s", {"cron_expr": "@every 90s"}),
    ("GET", f"{API}/schedules/s/next?n=3", None),
    ("POST", f"{API}/schedules/s/pause", {"reason": "r"}),
    ("POST", f"{API}/schedules/s/resume", None),
    ("POST", f"{API}/schedules/s/trigger", {"overlap_policy": "allow_all"}),
    ("POST", f"{API}/schedules/s/backfill", {"start": 1700000000, "end": 1700003600}),
    ("DELETE", f"{API}/schedules/s", None),
    ("POST", f"{API}/api-keys", {
        "label": "l", "roles": ["viewer"], "namespaces": ["main"], "expires_in_secs": 60, "idempotent": True}),
    ("GET", f"{API}/api-keys?namespace=main&limit=5", None),
    ("POST", f"{API}/api-keys/assay_0badc0de.../rotate", {"grace_secs": 1.5}),
    ("DELETE", f"{API}/api-keys/assay_0badc0de", None),
    ("POST", f"{API}/events/ticket", None),
    ("GET", f"{API}/workflows/count?namespace=main", None),
    ("GET", f"{API}/audit?principal=p&action=a&outcome=done&after=1&before_id=7&limit=3", None),
)  # fmt: skip

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "FOO", "get", "", "G ET")
HEADERS = (
    b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: 99999999999", b"Content-Length: -1",
    b"Content-Length: +1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Transfer-Encoding: xchunked",
    b"Content-Encoding: gzip", b"Content-Type: text/plain", b"Content-Type: application/json; charset=utf-16",
    b"Expect: 100-continue", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"X-Request-Id: \xff\x00",
    b"X-Request-Id: a b", b"Idempotency-Key: k", b"Idempotency-Key: ", b"Idempotency-Key: \xe4", b"If-None-Match: *",
    b'If-None-Match: W/"', b"Accept: application/problem+json", b"Accept: \xff", b"Host: [::1", b"Host: a b",
    b"Cookie: a=\x01", b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https", b"SCRIPT_NAME: /x", b"Script-Name: /x",
    b" folded: x", b"no colon", b": no name", b"X: " + b"y" * 9000, b"Range: bytes=0-1", b"Proxy: http://x",
)  # fmt: skip
IN_PATHS = (
    "%00", "%ff", "%0d%0a", "%2F", "%252F", "%", "%zz", "/", "//", "..", ".", "?", "&", "=", "#", "%20", "%EF%B7%90",
    "%ED%A0%80", "\xff", "*", ";", "%u0041", "a" * 300, "&limit=-1", "?run_id=%00", "&namespace=%ff", "&limit=1",
)  # fmt: skip
VALUES: tuple[Json, ...] = (
    None, True, False, 0, -1, 1.0, 1.5, 2**31, 2**63, -(2**63) - 1, 10**30, 1e308, "", " ", "a", ".", "..", "\x00",
    "\u202e", "\ud800", "ü", "\U0001f600", "x" * 256, "x" * 5000, [], {}, [[]], {"": None}, [None], {"a": {"a": {}}},
    "w.1.x", "a.1.1.x", "WaitForSignal", {"type": "CancelWorkflow"}, {"type": "CompleteWorkflow", "result": 5},
)  # fmt: skip
IN_BODIES = (b"\x00", b"\xff", b"NaN", b"1e999", b"[" * 200, b"{", b"}", b'"', b"\\ud800", b"\\u0000", b",", b":",
             b"9" * 5000, b"\xef\xbb\xbf", b'{"a":1,"a":2}', b"null", b"\r\n\r\n")  # fmt: skip


class Bender:
    """Makes requests out of the corpus, each bent in a few places. The same seed makes the same ones."""

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)

    def request(self) -> bytes:
        """Make one request, whole or not."""
        chance = self.chance
        method, target, body = chance.choice(CORPUS)
        bends = chance.choices((0, 1, 2, 3), (1, 6, 3, 1))[0]
        places = chance.choices(("method", "target", "json", "bytes", "headers", "framing", "wire"), k=bends)
        if "method" in places:
            method = chance.choice(METHODS)
        if "target" in places:
            target = self._bent_target(target)
        if "json" in places:
            body = self._bent_json(body)
        raw = b"" if body is None else json.dumps(body).encode()
        if "bytes" in places:
            raw = self._bent_bytes(raw)
        headers = [b"Host: localhost"]
        if raw:
            headers.append(b"Content-Type: application/json")
        if "framing" in places:
            raw = self._framed(raw, headers)
        elif raw:
            headers.append(b"Content-Length: %d" % len(raw))
        if "headers" in places:
            for _ in range(chance.randint(1, 3)):
                headers.insert(chance.randint(0, len(headers)), chance.choice(HEADERS))
        version = chance.choices((b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b""), (60, 2, 1, 1, 1))[0]
        head = b"%s %s %s\r\n" % (method.encode(), target.encode("latin-1"), version)
        whole = head + b"\r\n".join(headers) + b"\r\n\r\n" + raw
        return self._bent_bytes(whole) if "wire" in places else whole

    def _bent_target(self, target: str) -> str:
        chance = self.chance
        if chance.random() < 0.1:
            return chance.choice(("", "*", "http://localhost" + target, "//" + target, "/" * 50, target * 200, "\\"))
        at = chance.randint(len(API) if target.startswith(API) else 0, len(target))
        return target[:at] + chance.choice(IN_PATHS) + target[at + chance.choice((0, 0, 1, 3)) :]

    def _bent_json(self, value: Json) -> Json:
        """Replace, add, take away or deepen one value somewhere in it."""
        chance = self.chance
        if isinstance(value, dict) and value and chance.random() < 0.85:
            name = chance.choice(list(value))
            found = dict(value)
            if chance.random() < 0.1:
                del found[name]
            elif chance.random() < 0.1:
                found[chance.choice(("x", "", "task_token", "worker_id", "\x00"))] = chance.choice(VALUES)
            else:
                found[name] = self._bent_json(value[name])
            return found
        if isinstance(value, list) and value and chance.random() < 0.7:
            at = chance.randrange(len(value))
            return value[:at] + [self._bent_json(value[at])] * chance.choice((0, 1, 1, 1, 2, 1200)) + value[at + 1 :]
        if chance.random() < 0.05:
            for _ in range(chance.choice((10, 62, 63, 64, 200))):
                value = [value]
            return value
        return chance.choice(VALUES)

    def _bent_bytes(self, raw: bytes) -> bytes:
        chance = self.chance
        at = chance.randint(0, len(raw))
        kind = chance.randrange(4)
        if kind == 0:
            return raw[:at]
        if kind == 1:
            return raw[:at] + chance.choice(IN_BODIES) + raw[at:]
        if kind == 2:
            return raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]
        return raw[:at] + raw[at : at + chance.randint(1, 20)] * 2 + raw[at:]

    def _framed(self, raw: bytes, headers: list[bytes]) -> bytes:
        chance = self.chance
        if chance.random() < 0.4:
            headers.append(b"Content-Length: %d" % max(0, len(raw) + chance.choice((-3, -1, 1, 5, 10**6, 10**10))))
            return raw
        headers.append(b"Transfer-Encoding: chunked")
        size = chance.choice((1, 7, 1000))
        pieces = [b"%x\r\n%s\r\n" % (len(raw[at : at + size]), raw[at : at + size]) for at in range(0, len(raw), size)]
        framed = b"".join(pieces) + chance.choice((b"0\r\n\r\n", b"", b"0\r\nX: y\r\n\r\n", b"0;a=b\r\n\r\n"))
        return framed if chance.random() < 0.5 else self._bent_bytes(framed)


@dataclass
class Verdict:
    """What came of it."""

    statuses: dict[int, int] = field(default_factory=dict)  # status -> how often; 0 = closed without an answer
    faults: list[str] = field(default_factory=list)

    def add(self, other: Verdict) -> None:
        """Take another one's in."""
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        self.faults += other.faults


def fuzz(service: Live, requests: int, seed: int) -> Verdict:
    """Send so many requests over several connections at a time, then look at the service and its database."""
    verdict = Verdict()
    share = -(-requests // THREADS)
    with ThreadPoolExecutor(THREADS) as threads:
        for part in threads.map(lambda n: _send(service, Bender(f"{seed}/{n}"), share), range(THREADS)):
            verdict.add(part)
    if service.ask("GET", "/readyz").status != 200:
        verdict.faults.append("the service is not ready afterwards")
    if "Traceback" in service.log.read_text():
        verdict.faults.append(f"there is a traceback in the log: {service.log.read_text()[-4000:]}")
    store = Store.open(service.database_url)
    try:
        verdict.faults += [f"fsck: {finding.text}: {finding.rows}" for finding in fsck.check(store)]
    finally:
        store.close()
    return verdict


def _send(service: Live, bender: Bender, count: int) -> Verdict:
    verdict = Verdict()
    for _ in range(count):
        raw = bender.request()
        try:
            status = _status(service, raw)
        except TimeoutError:
            verdict.faults.append(f"no answer within {GUARD_SECS} s: {raw[:2000]!r}")
            continue
        verdict.statuses[status] = verdict.statuses.get(status, 0) + 1
        if status >= 500 and status not in ACCEPTED:
            verdict.faults.append(f"{status}: {raw[:2000]!r}")
    return verdict


ACCEPTED = frozenset({501, 505})  # gunicorn's own: a coding or a version of HTTP that it does not speak


def _status(service: Live, raw: bytes) -> int:
    """Send, say that nothing more will come, and read the answer; 0 where the service closes without one."""
    with service.connect() as connection:
        connection.settimeout(GUARD_SECS)
        send_all(connection, raw)
        with suppress(OSError):  # closed already
            connection.shutdown(socket.SHUT_WR)
        reply = read_reply(connection, head_only=raw.startswith(b"HEAD"))
    return 0 if reply is None else reply.status


def main() -> None:
    """Run as many as were asked for; exit 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument(
        "--seed", type=int, default=int(os.environ.get("ASSAY_TEST_SEED", "0")) or random.getrandbits(32)
    )
    options = parser.parse_args()
    print(f"{options.requests} requests, ASSAY_TEST_SEED={options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory, live(Path(directory)) as service:
        verdict = fuzz(service, options.requests, options.seed)
    print(dict(sorted(verdict.statuses.items())))
    for fault in verdict.faults:
        print(fault)
    sys.exit(1 if verdict.faults else 0)


if __name__ == "__main__":
    main()
