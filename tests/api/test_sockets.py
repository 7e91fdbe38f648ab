"""The feed over a WebSocket, against the service as it runs."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests

from assay_wsgi.api.connections import Outlet
from assay_wsgi.api.sockets import LARGEST_MESSAGE
from tests.processes import PATIENCE_SECS
from tests.processes import until
from tests.serving import ASSAY
from tests.serving import Process
from tests.serving import processes_in
from tests.websockets import HANDSHAKE
from tests.websockets import Closed
from tests.websockets import WebSocket


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    directory = tmp_path_factory.mktemp("sockets")
    with processes_in(directory) as start:
        running = start(*ASSAY, "serve", "--backend", f"sqlite://{directory}/assay.db", "--port", "0")
        running.ready()
        yield running


class Listening(WebSocket):
    """A client of the socket."""

    def __init__(self, service: Process, query: str = "", **headers: str) -> None:
        super().__init__(service.url(), f"/api/v1/ws{query}", headers)

    def hears_of(self, count: int) -> list[dict[str, Any]]:
        """Give the next notices; signs of life are passed over."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            told = self.receive()
            found += [] if told["event_type"] == "cursor" else [told]
        return found

    def is_closed_with(self) -> int | None:
        """Read up to the end; give the code that it is closed with."""
        try:
            while True:
                self.receive()
        except Closed as closed:
            self.close()
            return closed.code


def started(service: Process, *names: str) -> None:
    for name in names:
        assert service.post("/workflows", {"workflow_type": "T", "workflow_id": name}).status_code == 201


def asked(service: Process, query: str = "", **headers: str) -> requests.Response:
    """Ask for a socket over HTTP, and read what is refused."""
    with requests.get(f"http://{service.url()}/api/v1/ws{query}", headers=headers, timeout=60, stream=True) as answer:
        if answer.status_code != 101:
            assert answer.content
        return answer


def test_a_socket_tells_the_same_records_as_a_page_and_goes_on_from_any(service: Process) -> None:
    listening = Listening(service)
    first = listening.receive()
    assert (first["event_type"], first["workflow_id"]) == ("cursor", None)
    started(service, "s1", "s2")

    told = listening.hears_of(2)

    page = requests.get(f"http://{service.url()}/api/v1/events?after={first['id']}", timeout=60).json()
    assert told == page["events"]
    listening.close()
    again = Listening(service, f"?after={told[0]['id']}")
    assert again.hears_of(1) == told[1:]
    again.close()


def test_a_socket_is_narrowed_like_a_page(service: Process) -> None:
    listening = Listening(service, "?workflow_id=n2&type=workflow_started")

    started(service, "n1", "n2")

    assert [told["workflow_id"] for told in listening.hears_of(1)] == ["n2"]
    listening.close()


def test_a_lost_cursor_is_told(service: Process) -> None:
    listening = Listening(service, "?after=0-1-1")

    (told,) = listening.hears_of(1)

    assert (told["event_type"], told["payload"]) == ("reset", '{"reason":"another_database"}')
    listening.close()


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("", {}, 426, "upgrade_required"),
        ("", {**HANDSHAKE, "Sec-WebSocket-Version": "8"}, 426, "upgrade_required"),
        ("", {**HANDSHAKE, "Sec-WebSocket-Key": ""}, 426, "upgrade_required"),
        ("", {**HANDSHAKE, "Origin": "http://evil.example"}, 403, "origin_not_allowed"),
        ("", {**HANDSHAKE, "Origin": "null"}, 403, "origin_not_allowed"),
        ("", {**HANDSHAKE, "Origin": "http://localhost:1"}, 403, "origin_not_allowed"),
        ("?colour=red", HANDSHAKE, 422, "invalid_filter"),
        ("?type=x", HANDSHAKE, 422, "invalid_filter"),
        ("?after=x", HANDSHAKE, 422, "invalid_cursor"),
        ("?colour=red", {}, 422, "invalid_filter"),
    ],
)
def test_what_is_wrong_is_refused_before_there_is_a_socket(
    service: Process, query: str, headers: dict[str, str], status: int, code: str
) -> None:
    refused = asked(service, query, **headers)

    assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_a_page_of_the_service_itself_may_open_one(service: Process) -> None:
    listening = Listening(service, Origin=f"http://{service.url()}")

    assert listening.receive()["event_type"] == "cursor"
    listening.close()


def test_nothing_is_compressed_whatever_a_client_offers(service: Process) -> None:
    offered = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}

    listening = Listening(service, **offered)

    assert "extensions" not in listening.head.lower()
    assert listening.receive()["event_type"] == "cursor"
    listening.close()


def test_what_a_client_says_is_not_heard_and_too_much_of_it_ends_the_socket(service: Process) -> None:
    listening = Listening(service)
    listening.receive()
    for _ in range(100):
        listening.send("{}")
    started(service, "still told")
    assert listening.hears_of(1)[0]["workflow_id"] == "still told"

    listening.send("x" * (LARGEST_MESSAGE + 1))

    assert listening.is_closed_with() == 1009


def test_places_are_free_again_when_clients_go(tmp_path: Any) -> None:
    with processes_in(tmp_path) as start:
        service = start(
            *ASSAY, "serve", "--backend", f"sqlite://{tmp_path}/assay.db", "--port", "0", ASSAY_HTTP_STREAMS="2"
        )
        service.ready()
        stream = requests.get(f"http://{service.url()}/api/v1/events/stream", stream=True, timeout=60)
        listening = Listening(service)
        listening.receive()
        assert asked(service, **HANDSHAKE).json()["code"] == "too_many_streams"

        def opened() -> Listening | None:
            try:
                return Listening(service)
            except Closed:  # there is no place yet
                return None

        stream.close()  # without a word
        listening.close()

        both = [until(opened), until(opened)]
        for listening in both:
            assert listening.receive()["event_type"] == "cursor"
            listening.close()


def test_at_its_end_the_service_takes_leave_of_all_who_listen_and_waits_for_none(tmp_path: Any) -> None:
    with processes_in(tmp_path) as start:
        service = start(*ASSAY, "serve", "--backend", f"sqlite://{tmp_path}/assay.db", "--port", "0")
        service.ready()
        streams = [
            requests.get(f"http://{service.url()}/api/v1/events/stream", stream=True, timeout=60) for _ in range(4)
        ]
        sockets = [Listening(service) for _ in range(4)]
        for listening in sockets:
            listening.receive()

        service.popen.send_signal(signal.SIGTERM)

        for stream in streams:
            assert b"event: drain" in b"".join(stream.iter_content(None))
        for listening in sockets:
            assert listening.hears_of(1)[0]["event_type"] == "drain"
            assert listening.is_closed_with() == 1001
        assert service.ends() == 0
        assert "Traceback" not in service.said()


def test_a_client_that_does_not_read_is_cut_off() -> None:
    here, there = socket.socketpair()
    outlet = Outlet(here, patience_secs=0.01)
    assert outlet.has_room()
    here.setblocking(False)
    with suppress(BlockingIOError):
        while here.send(b"x" * 65536):
            pass

    assert not outlet.has_room()

    there.settimeout(PATIENCE_SECS)
    while there.recv(1 << 20):
        pass  # up to the end, which is there
    here.close()
    there.close()
