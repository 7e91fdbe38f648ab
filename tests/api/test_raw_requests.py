"""Bad input that only a real server shows: paths as they were sent, odd methods, framing, bytes off the wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import Live
from tests.live import Reply
from tests.live import live
from tests.live import read_reply

RUNS = "/api/v1/workflows"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One service for all of these: what they leave in it harms none of them."""
    with live(tmp_path_factory.mktemp("service")) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


def refused(reply: Reply, status: int, code: str) -> None:
    assert (reply.status, reply.json()["code"]) == (status, code)
    assert reply.headers["content-type"] == "application/json"
    assert reply.json()["request_id"] == reply.headers["x-request-id"]


def in_chunks(body: bytes, size: int = 65536) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        (f"{RUNS}/%00", 400, "invalid_path"),
        (f"{RUNS}/a%0d%0ab", 400, "invalid_path"),
        (f"{RUNS}/a%0D%0ASet-Cookie:%20a=b", 400, "invalid_path"),
        (f"{RUNS}/%ff", 400, "invalid_path"),
        (f"{RUNS}/%ed%a0%80", 400, "invalid_path"),
        (f"{RUNS}/%2F%ff", 400, "invalid_path"),
        (f"{RUNS}/%EF%BF%BD", 404, "not_found"),
        (f"{RUNS}/none%2Fnone", 404, "not_found"),
        (f"{RUNS}/none%252Fnone", 404, "not_found"),
        (f"{RUNS}/%zz", 404, "not_found"),
        (f"{RUNS}/..", 422, "invalid_id"),
        (f"{RUNS}/%2e%2e", 422, "invalid_id"),
        (f"{RUNS}/../health", 404, "unknown_route"),
        (f"{RUNS}/", 404, "unknown_route"),
        (f"//{RUNS[1:]}", 404, "unknown_route"),
        (f"///{RUNS[1:]}", 404, "unknown_route"),
        ("/api//v1/workflows", 404, "unknown_route"),
        (f"{RUNS}//events", 404, "unknown_route"),
        ("/api/v1//workflows", 404, "unknown_route"),
        ("/nowhere%ff", 400, "invalid_path"),
        ("/nowhere%00", 400, "invalid_path"),
        (f"http://elsewhere.example{RUNS}/a%2Fnone", 404, "not_found"),
        (f"{RUNS}?search_attrs=%7B%22a%22:%22%5Cud800%22%7D", 422, "invalid_filter"),
    ],
)
def test_a_path_is_what_was_sent(service: Live, target: str, status: int, code: str) -> None:
    reply = service.ask("GET", target)

    refused(reply, status, code)
    assert "set-cookie" not in reply.headers


def test_an_encoded_slash_is_part_of_the_id_and_a_twice_encoded_one_stays(service: Live) -> None:
    for workflow_id in ("raw/a", "raw%2Fa"):
        body = b'{"workflow_type": "a", "workflow_id": "%s"}' % workflow_id.encode()
        assert service.ask("POST", RUNS, body).status == 201

    assert service.ask("GET", f"{RUNS}/raw%2Fa").json()["id"] == "raw/a"
    assert service.ask("GET", f"{RUNS}/raw%2fa/events").status == 200
    assert service.ask("GET", f"{RUNS}/raw%252Fa").json()["id"] == "raw%2Fa"
    assert service.ask("POST", f"{RUNS}/raw%2Fa/signal/x%2Fy").status == 200
    refused(service.ask("GET", f"{RUNS}/raw/a"), 404, "unknown_route")


def test_an_absolute_target_is_a_path(service: Live) -> None:
    assert service.ask("GET", "http://localhost/api/v1/health").json()["status"] == "ok"


@pytest.mark.parametrize("target", [f"{RUNS}/\xff", f"{RUNS}/\xc3\xbc", "*", "nowhere", f"{RUNS}/a b"])
def test_a_target_that_is_none_is_refused_by_the_server_itself(service: Live, target: str) -> None:
    assert service.ask("GET", target).status == 400


@pytest.mark.parametrize("method", ["TRACE", "FOO", "PROPFIND", "M-SEARCH", "CONNECT", "DELETE", "QUERY"])
def test_a_method_that_no_route_has_is_405_and_says_which_there_are(service: Live, method: str) -> None:
    reply = service.ask(method, RUNS)

    refused(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_trace_echoes_nothing(service: Live) -> None:
    assert b"secret" not in service.ask("TRACE", RUNS, None, "X-Token: secret").body


def test_a_body_in_chunks_is_a_body(service: Live) -> None:
    whole = in_chunks(b'{"workflow_type": "a"}', size=3)

    assert service.ask("POST", RUNS, whole, "Transfer-Encoding: chunked").status == 201
    refused(service.ask("POST", RUNS, in_chunks(b"{"), "Transfer-Encoding: chunked"), 400, "invalid_json")
    typeless = service.ask("POST", RUNS, in_chunks(b"{}"), "Transfer-Encoding: chunked", "Content-Type: text/plain")
    refused(typeless, 415, "unsupported_media_type")


@pytest.mark.parametrize("chunks", [b"5\r\n{}\xff\r\n0\r\n\r\n", b"x\r\n{}\r\n0\r\n\r\n", b"2\r\n{}", b"-2\r\n{}\r\n"])
def test_chunks_that_are_none_are_400(service: Live, chunks: bytes) -> None:
    with service.connect() as connection:
        head = f"POST {RUNS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        connection.shutdown(1)
        reply = read_reply(connection)

    assert reply is not None
    refused(reply, 400, "bad_request")


@pytest.mark.parametrize("chunks", [b"x\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\xff\r\n0\r\n\r\n"])
def test_what_follows_chunks_that_are_none_is_no_request(service: Live, chunks: bytes) -> None:
    smuggled = f"GET {RUNS}/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with service.connect() as connection:
        head = f"POST {RUNS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + smuggled)
        connection.shutdown(1)
        answers = b""
        while more := connection.recv(65536):
            answers += more

    assert answers.startswith(b"HTTP/1.1 400 ")
    assert b"smuggled" not in answers


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /x", "Script-Name: /x", "PATH_INFO: /livez"])
def test_no_header_says_which_path_is_meant(service: Live, header: str) -> None:
    assert service.ask("GET", "/api/v1/version", None, header).json()["build_profile"] == "release"
    refused(service.ask("GET", "/nowhere", None, header), 404, "unknown_route")


def test_a_body_beyond_4_mib_is_413_however_it_comes(service: Live) -> None:
    body = b" " * (5 * MIB)

    refused(service.ask("POST", RUNS, body), 413, "payload_too_large")
    refused(service.ask("POST", RUNS, in_chunks(body), "Transfer-Encoding: chunked"), 413, "payload_too_large")


def test_a_body_of_4_mib_is_read(service: Live) -> None:
    body = b'{"workflow_type": "a"}'.ljust(4 * MIB)

    assert service.ask("POST", RUNS, body).status == 201
    assert service.ask("POST", RUNS, in_chunks(body), "Transfer-Encoding: chunked").status == 201


def test_a_compressed_body_is_415(service: Live) -> None:
    refused(service.ask("POST", RUNS, b"\x1f\x8b\x08", "Content-Encoding: gzip"), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a": NaN}', "non_finite_number"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep"),
        (b"[" * (4 * MIB), "too_deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "number_too_long"),
        ('{"a": 1}'.encode("utf-16"), "invalid_json"),
        (b'{"a": "\\ud800"}', "invalid_unicode"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_key"),
        (b'{"b": "\\u003a", "a": 1, "a": 2}', "duplicate_key"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_hostile_json_is_400(service: Live, body: bytes, code: str) -> None:
    refused(service.ask("POST", RUNS, body), 400, code)


@pytest.mark.parametrize(
    "headers",
    [("Content-Length: x",), ("Content-Length: -1",), ("Content-Length: 1", "Content-Length: 2"),
     ("Transfer-Encoding: chunked", "Content-Length: 5"), ("Transfer-Encoding: chunked, identity",),
     ("Bad Name: x",), ("X: " + "y" * 100_000,), tuple(f"X-{n}: y" for n in range(300))],
    ids=lambda headers: headers[0][:30],
)  # fmt: skip
def test_broken_framing_is_refused_by_the_server_itself(service: Live, headers: tuple[str, ...]) -> None:
    head = "\r\n".join(("POST " + RUNS + " HTTP/1.1", "Host: localhost", "Connection: close", *headers))
    reply = service.send(head.encode() + b"\r\n\r\n0\r\n\r\n")

    assert 400 <= reply.status < 502
    assert reply.status != 500


def test_a_refused_body_does_not_become_the_next_request(service: Live) -> None:
    """What follows a body that was not read must not be taken for a request of its own."""
    smuggled = f"GET {RUNS}/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with service.connect() as connection:
        connection.sendall(
            f"POST {RUNS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {5 * MIB}\r\n"
            "Content-Type: application/json\r\n\r\n".encode()
        )
        connection.sendall(smuggled)
        answers = b""
        try:
            while more := connection.recv(65536):
                answers += more
                if b"payload_too_large" in answers:
                    connection.shutdown(1)
        except ConnectionResetError:
            pass

    assert answers.count(b"HTTP/1.1 ") == 1
    assert b"413" in answers
