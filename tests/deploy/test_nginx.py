"""deploy/nginx/assay.conf before the real service: nothing is lost while either of them is reloaded."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from gunicorn.workers import gthread

from assay_wsgi.api.bodies import MAX_BODY_BYTES
from assay_wsgi.cli.processes import gunicorn_conf
from tests.deploy.hammer import Hammer
from tests.deploy.hammer import hammering
from tests.deploy.nginx import CONF
from tests.deploy.nginx import Nginx
from tests.deploy.nginx import needs_nginx
from tests.deploy.nginx import nginx_before
from tests.processes import children
from tests.processes import gone
from tests.processes import until
from tests.serving import ASSAY
from tests.serving import Process
from tests.serving import processes_in
from tests.websockets import WebSocket

pytestmark = needs_nginx
RELOADS = 2


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    with processes_in(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx before a service on SQLite; both stay as they are."""
    directory = tmp_path_factory.mktemp("front")
    with processes_in(directory) as start:
        service = start(*ASSAY, "serve", "--backend", f"sqlite://{directory}/assay.db", "--port", "0")
        service.ready()
        with nginx_before(service.url(), directory / "nginx") as nginx:
            yield nginx


def reload(service: Process) -> None:
    """Reload `assay serve`, and wait until its new processes have taken over."""
    before = service.said().count("serves; the old one")
    service.popen.send_signal(signal.SIGHUP)
    until(lambda: service.said().count("serves; the old one") == before + 2)


def until_more(hammer: Hammer, answers: int) -> None:
    """Wait until so many more requests were answered."""
    served = hammer.served
    until(lambda: hammer.served >= served + answers)


def all_runs(url: str) -> list[str]:
    """The ids of all runs there are, one for each run."""
    found: list[str] = []
    page: str | None = "/api/v1/workflows?limit=500"
    while page:
        answer = requests.get(url + page, timeout=60)
        found += [run["id"] for run in answer.json()]
        page = answer.links.get("next", {}).get("url")
    return found


def check(hammer: Hammer, nginx: Nginx) -> None:
    """Not one request failed, and what was acknowledged is there once."""
    assert hammer.failures == []
    runs = all_runs(nginx.url)
    assert len(runs) == len(set(runs))
    assert set(hammer.acknowledged) <= set(runs)
    assert len(hammer.acknowledged) == len(set(hammer.acknowledged))


def test_no_request_fails_while_the_service_is_reloaded(run, backend, tmp_path):
    service = run(*ASSAY, "serve", "--backend", backend, "--port", "0", ASSAY_WEB_WORKERS="2")
    service.ready()
    with nginx_before(service.url(), tmp_path / "nginx") as nginx:
        with hammering(nginx.port) as hammer:
            for _ in range(RELOADS):
                until_more(hammer, 200)
                reload(service)
            hammer.let_go()
            reload(service)

        assert hammer.cut == []
        assert hammer.drained >= 4
        check(hammer, nginx)
        assert nginx.complaints() == []


def test_no_request_fails_while_plain_gunicorn_is_reloaded(run, postgres_url, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environ = {"ASSAY_BIND": address, "ASSAY_WEB_WORKERS": "2"}
    gunicorn = run(sys.executable, "-m", "gunicorn", DATABASE_URL=postgres_url, **environ)
    until(lambda: len(children(gunicorn.popen.pid)) == 2)
    with nginx_before(address, tmp_path / "nginx") as nginx:
        with hammering(nginx.port) as hammer:
            for last in (False, True):
                until_more(hammer, 200)
                old = children(gunicorn.popen.pid)
                if last:
                    hammer.let_go()
                gunicorn.popen.send_signal(signal.SIGHUP)
                until(lambda old=old: all(gone(pid) for pid in old))

        assert hammer.cut == []
        check(hammer, nginx)
        assert nginx.complaints() == []


def test_while_nginx_is_reloaded_only_kept_connections_are_cut_and_saying_it_again_is_safe(run, sqlite_url, tmp_path):
    service = run(*ASSAY, "serve", "--backend", sqlite_url, "--port", "0")
    service.ready()
    with nginx_before(service.url(), tmp_path / "nginx") as nginx:
        with hammering(nginx.port) as hammer:
            for _ in range(3 * RELOADS):
                until_more(hammer, 100)
                nginx.reload()
            hammer.let_go()
            reload(service)

        assert all(cut.startswith("kept ") for cut in hammer.cut)
        check(hammer, nginx)


def test_nginx_lets_go_of_an_idle_connection_before_a_web_process_can():
    upstream = re.search(r"upstream assay \{.*?\n\}", CONF.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert upstream is not None
    given = re.search(r"keepalive_timeout +(\d+)s;", upstream[0])
    assert given is not None

    assert int(given[1]) < gthread.STOP_KEEPALIVE_LINGER < gunicorn_conf.keepalive


def test_nginx_refuses_what_is_larger_than_the_service_takes_in_the_services_shape(front):
    """Let through, the service would refuse it while nginx still sends, and the answer could be lost: 503 instead."""
    most, large = (
        requests.post(
            f"{front.url}/api/v1/workflows",
            data=b" " * size,
            headers={"Content-Type": "application/json", "X-Request-Id": "r1"},
            timeout=60,
        )
        for size in (MAX_BODY_BYTES, MAX_BODY_BYTES + 1)
    )

    assert [answer.status_code for answer in (most, large)] == [400, 413]
    assert large.headers["X-Request-Id"] == "r1"
    assert large.json().keys() == most.json().keys()
    assert (large.json()["code"], large.json()["status"]) == ("payload_too_large", 413)


def test_an_id_with_a_slash_gets_through(front):
    body = {"workflow_type": "Hello", "workflow_id": "a/b//c"}
    assert requests.post(f"{front.url}/api/v1/workflows", json=body, timeout=60).status_code == 201

    found = requests.get(f"{front.url}/api/v1/workflows/a%2Fb%2F%2Fc", timeout=60)

    assert found.json()["id"] == "a/b//c"


@pytest.mark.parametrize(("sent", "kept"), [("mine-1", True), ('a"b', False), ("x" * 129, False), (None, False)])
def test_a_request_has_one_name_all_the_way(front, sent, kept):
    answer = requests.get(
        f"{front.url}/api/v1/workflows/nobody", headers={} if sent is None else {"X-Request-Id": sent}, timeout=60
    )

    name = answer.headers["X-Request-Id"]
    assert answer.json()["request_id"] == name
    assert name == sent if kept else re.fullmatch(r"[0-9a-f]{32}", name)  # nginx's own


def test_a_long_poll_is_answered_when_work_comes_and_not_cut_before(front):
    body = {
        "worker": {"identity": "w1", "workflows": ["Hello"], "activities": []}, "session": "s1", "n": 1,
        "queue": "awaited", "wait_secs": 20, "workflow_slots": 1, "activity_slots": 0,
    }  # fmt: skip
    with ThreadPoolExecutor() as threads:
        poll = threads.submit(requests.post, f"{front.url}/api/v1/workers/w1/exchange", json=body, timeout=60)
        until(lambda: requests.get(f"{front.url}/api/v1/workers", timeout=60).json())
        started = {"workflow_type": "Hello", "workflow_id": "awaited-1", "task_queue": "awaited"}
        assert requests.post(f"{front.url}/api/v1/workflows", json=started, timeout=60).status_code == 201
        answer = poll.result()

    assert [task["workflow_id"] for task in answer.json()["workflow_tasks"]] == ["awaited-1"]


def test_where_there_is_no_service_a_client_is_told_to_come_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with nginx_before(address, tmp_path / "nginx") as nginx:
        answer = requests.post(f"{nginx.url}/api/v1/workflows", json={}, timeout=60)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["code"] == "outcome_unknown"
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


class Dripping(BaseHTTPRequestHandler):
    """Stands in for the routes that stream: says how it was asked, then waits until it may go on.

    Its answer has neither length nor chunks: of such a one a proxy that buffers would pass nothing on before its end.
    """

    may_go_on = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        sent = self.headers
        self.wfile.write(f"{sent.get('Connection')}|{sent.get('Upgrade')}|{sent['X-Forwarded-For']}".encode())
        self.may_go_on.wait(60)
        self.wfile.write(b"the rest")

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def dripping(tmp_path: Path) -> Iterator[Nginx]:
    """nginx before the stand-in."""
    Dripping.may_go_on.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with nginx_before(f"127.0.0.1:{server.server_address[1]}", tmp_path / "nginx") as nginx:
        yield nginx
        Dripping.may_go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_fifty_listen_through_it_and_each_is_told_everything_as_it_happens(front):
    sockets = [WebSocket(front.address, "/api/v1/ws") for _ in range(25)]
    streams = [requests.get(f"{front.url}/api/v1/events/stream", stream=True, timeout=60) for _ in range(25)]
    lines = [stream.iter_lines(chunk_size=1) for stream in streams]
    for each in lines:
        assert next(line for line in each if line.startswith(b"id: "))  # from here on it is told
    for each in sockets:
        assert each.receive()["event_type"] == "cursor"
    names = [f"heard-{number}" for number in range(4)]

    for name in names:
        body = {"workflow_type": "Hello", "workflow_id": name}
        assert requests.post(f"{front.url}/api/v1/workflows", json=body, timeout=60).status_code == 201

    for each in lines:
        told = (json.loads(line[6:])["workflow_id"] for line in each if line.startswith(b"data: "))
        assert [next(told) for _ in names] == names
    for each in sockets:
        heard = []
        while len(heard) < len(names):
            told = each.receive()
            heard += [] if told["event_type"] == "cursor" else [told["workflow_id"]]
        assert heard == names
        each.close()
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("path", ["/api/v1/events/stream", "/api/v1/ws"])
def test_streams_come_as_they_are_said_and_may_change_protocol(dripping, path):
    asked = {"Connection": "Upgrade", "Upgrade": "websocket", "X-Forwarded-For": "6.6.6.6"}
    with requests.get(dripping.url + path, headers=asked, stream=True, timeout=60) as answer:
        pieces = answer.iter_content(chunk_size=None)
        first = next(pieces)
        Dripping.may_go_on.set()
        rest = b"".join(pieces)

    assert first == b"upgrade|websocket|127.0.0.1"
    assert rest == b"the rest"


def test_other_requests_change_no_protocol(dripping):
    Dripping.may_go_on.set()

    answer = requests.get(
        f"{dripping.url}/api/v1/workflows", headers={"Connection": "Upgrade", "Upgrade": "h2c"}, timeout=60
    )

    assert answer.text == "None|None|127.0.0.1the rest"
