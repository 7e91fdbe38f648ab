"""An issuer that really listens on loopback, and can be as bad as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

from tests.auth.tokens import Signer
from tests.auth.tokens import token

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/keys"

Answer = Callable[[BaseHTTPRequestHandler], None]


class Issuer:
    """Its keys, how it answers, and what it was asked."""

    def __init__(self, *signers: Signer) -> None:
        self.signers = list(signers)
        self.asked: list[str] = []  # paths, in order
        self.answers: dict[str, Answer] = {}  # path -> another answer than the right one
        self.described: dict[str, Any] = {}  # members of the discovery document that are not the right ones
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                issuer.answers.get(self.path, issuer.right_answer)(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # whoever asks hangs up when it has waited enough

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def rounds(self) -> int:
        """How often somebody came for the keys."""
        return self.asked.count(DISCOVERY)

    def right_answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path == DISCOVERY:
            send_json({"issuer": self.url, "jwks_uri": f"{self.url}{KEYS}", **self.described})(handler)
        else:
            send_json({"keys": [signer.jwk for signer in self.signers]})(handler)

    def claims(self, audience: str = "assay", **more: Any) -> dict[str, Any]:
        """What a good token says, by this host's clock."""
        now = int(time.time())
        return {"iss": self.url, "aud": audience, "sub": "ada", "iat": now, "exp": now + 600, **more}

    def token(self, audience: str = "assay", by: Signer | None = None, **more: Any) -> str:
        """Sign a good token."""
        signer = by or self.signers[0]
        return token(signer.header(), self.claims(audience, **more), signer.sign)


@contextmanager
def issuer(*signers: Signer) -> Iterator[Issuer]:
    """Run an issuer while the block lasts."""
    made = Issuer(*signers)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def send(raw: bytes, kind: str = "application/json", status: int = 200, **headers: str) -> Answer:
    """Answer with these bytes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Type": kind, "Content_Length": str(len(raw)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(raw)

    return answer


def send_json(value: Any, **headers: str) -> Answer:
    """Answer with JSON."""
    return send(json.dumps(value).encode(), **headers)
