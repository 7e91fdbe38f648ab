"""The service that the approval meets: it reads and publishes documents, and fails by script.

    python -m examples.documents.service [--port 8090] [--delay 0.05] [--script ok,503,ok,drop]

POST /check/<id> and /publish/<id> answer {"words", "remarks"} and {"url"}. The n-th request about the same
document and operation meets a word of the script, which is read from a place that the document's id decides:
`ok`, a status such as `503`, or `drop` (the work is done, the connection ends without an answer). A document
never fails more often than the script is long. GET /stats says how often what happened.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
import zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

SCRIPT = ["ok", "ok", "503", "ok", "ok", "drop", "ok", "500", "503", "ok"]


class Desk:
    """What the service knows. Thread-safe."""

    def __init__(self, script: list[str]) -> None:
        self.happened: Counter[str] = Counter()
        self.published: dict[str, str] = {}
        self._script = script
        self._asked: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def fate(self, operation: str, document_id: str) -> str:
        """Say what this request meets: `ok` at the latest when the script has been read to its end."""
        with self._lock:
            nth = self._asked[operation, document_id]
            self._asked[operation, document_id] += 1
            start = zlib.crc32(f"{operation}/{document_id}".encode()) % len(self._script)
            fate = self._script[start + nth] if start + nth < len(self._script) else "ok"
            self.happened[f"{operation} {fate}"] += 1
            return fate

    def check(self, document_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Read a document."""
        words = str(body.get("text", "")).split()
        remarks = []
        if len(words) < 12:
            remarks.append("short: is this all of it?")
        if not str(body.get("title", "")).strip():
            remarks.append("has no title")
        return {"document": document_id, "words": len(words), "remarks": remarks}

    def publish(self, document_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Publish a document; the same one again stays where it is."""
        with self._lock:
            url = self.published.setdefault(document_id, f"https://documents.example.com/{document_id}")
        return {"document": document_id, "url": url, "approver": body.get("approver")}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    desk: Desk
    delay = 0.0

    def do_POST(self) -> None:
        """Check or publish, as the script lets it."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        operation, _, document_id = self.path.strip("/").partition("/")
        act = {"check": self.desk.check, "publish": self.desk.publish}.get(operation)
        if act is None or not document_id:
            self._answer(404, {"error": "there is POST /check/<id> and POST /publish/<id>"})
            return
        if not isinstance(body, dict):
            self._answer(422, {"error": "the body must be an object"})
            return
        time.sleep(self.delay)
        fate = self.desk.fate(operation, document_id)
        if fate.isdigit():
            self._answer(int(fate), {"error": f"the script says {fate}"})
            return
        done = act(document_id, body)
        if fate == "drop":
            self.close_connection = True
        else:
            self._answer(200, done)

    def do_GET(self) -> None:
        """Say what has happened so far."""
        self._answer(200, {"happened": dict(self.desk.happened), "published": len(self.desk.published)})

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: thousands of requests say nothing to anybody."""

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def make_server(port: int = 8090, delay: float = 0.0, script: list[str] = SCRIPT) -> ThreadingHTTPServer:
    """Return the service, listening on 127.0.0.1; port 0 takes a free one. `serve_forever()` runs it."""
    handler = type("Handler", (Handler,), {"desk": Desk(list(script)), "delay": delay})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="an unreliable document service")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--delay", type=float, default=0.05, metavar="SECS", help="that each request takes")
    parser.add_argument("--script", default=",".join(SCRIPT), help="ok, a status, or drop; separated by commas")
    options = parser.parse_args()
    server = make_server(options.port, options.delay, options.script.split(","))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
