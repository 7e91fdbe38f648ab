"""What is taken from an issuer over HTTP, and in how many ways one can be away."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from assay_wsgi.auth import issuer as fetching
from assay_wsgi.auth.issuer import IssuerError
from assay_wsgi.auth.issuer import fetch_keys
from assay_wsgi.auth.issuer import probe
from assay_wsgi.auth.trust import Origin
from assay_wsgi.auth.trust import Trust
from assay_wsgi.settings import JwtSettings
from tests.auth.issuers import DISCOVERY
from tests.auth.issuers import KEYS
from tests.auth.issuers import Answer
from tests.auth.issuers import Issuer
from tests.auth.issuers import issuer
from tests.auth.issuers import send
from tests.auth.issuers import send_json
from tests.auth.tokens import signer

FIRST = signer("first")
GOOD_KEYS = {"keys": [FIRST.jwk]}


@pytest.fixture
def idp() -> Iterator[Issuer]:
    with issuer(FIRST) as running:
        yield running


def trust(idp: Issuer, url: str | None = None, **more: Any) -> Trust:
    return Trust.of(JwtSettings(issuer=url or idp.url, audience="assay", **more))


def test_the_keys_are_where_the_issuer_says_that_they_are(idp: Issuer):
    assert list(fetch_keys(trust(idp))) == ["first"]
    assert idp.asked == [DISCOVERY, KEYS]


@pytest.mark.parametrize("path", ["/realms/shop", "/realms/shop/"])
def test_an_issuer_below_a_path_is_described_below_it(idp: Issuer, path: str):
    idp.described = {"issuer": f"{idp.url}{path}"}
    idp.answers[f"/realms/shop{DISCOVERY}"] = send_json({"issuer": f"{idp.url}{path}", "jwks_uri": f"{idp.url}{KEYS}"})

    assert list(fetch_keys(trust(idp, f"{idp.url}{path}"))) == ["first"]
    assert idp.asked == [f"/realms/shop{DISCOVERY}", KEYS]


@pytest.mark.parametrize("kind", ["application/json", "application/jwk-set+json; charset=utf-8"])
def test_json_may_call_itself_by_either_name(idp: Issuer, kind: str):
    idp.answers[KEYS] = send(json.dumps(GOOD_KEYS).encode(), kind)

    assert list(fetch_keys(trust(idp))) == ["first"]


# ------------------------------------------------------------------------------------- an issuer that is away


def closed(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def broken_off(handler: BaseHTTPRequestHandler) -> None:
    send(b'{"keys": []', Content_Length="500")(handler)
    handler.close_connection = True


def in_bad_chunks(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"zz\r\nno chunk\r\n")
    handler.close_connection = True


def without_end(handler: BaseHTTPRequestHandler) -> None:
    """As much as anybody takes, and no word of how much that will be."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65536)


AWAY: dict[str, tuple[Answer, str]] = {
    "404": (send(b"{}", status=404), "answers 404"),
    "500": (send(b"{}", status=500), "answers 500"),
    "503 with JSON": (send(json.dumps(GOOD_KEYS).encode(), status=503), "answers 503"),
    "204": (send(b"", status=204), "answers 204"),
    "a page for people": (send(b"<html>", "text/html"), "answers no JSON, but 'text/html'"),
    "JSON that calls itself text": (send(json.dumps(GOOD_KEYS).encode(), "text/plain"), "answers no JSON, but"),
    "no JSON": (send(b"{"), "answers no JSON object"),
    "a list": (send_json([FIRST.jwk]), "answers no JSON object"),
    "a member twice": (send(b'{"keys": [], "keys": []}'), "a member is there twice"),
    "nested without end": (send(b"[" * 100_000), "answers no JSON object"),
    "more than a megabyte": (send_json({"keys": ["x" * 1024 * 1024]}), "answers more than 1 MiB"),
    "without end": (without_end, "answers more than 1 MiB"),
    "compressed": (send(gzip.compress(b" " * 10**7), Content_Encoding="gzip"), "answers compressed"),
    "closed": (closed, "does not answer"),
    "broken off": (broken_off, "does not answer"),
    "in bad chunks": (in_bad_chunks, "does not answer"),
}  # fmt: skip


@pytest.mark.parametrize("path", [DISCOVERY, KEYS])
@pytest.mark.parametrize("name", AWAY)
def test_a_bad_answer_is_no_answer(idp: Issuer, path: str, name: str):
    idp.answers[path], says = AWAY[name]

    with pytest.raises(IssuerError, match=says):
        fetch_keys(trust(idp))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(idp: Issuer, status: int):
    with issuer(FIRST) as elsewhere:
        idp.answers[KEYS] = send(b"", status=status, Location=f"{elsewhere.url}{KEYS}")

        with pytest.raises(IssuerError, match=f"answers {status}"):
            fetch_keys(trust(idp))

        assert elsewhere.asked == []


def test_nobody_listens(idp: Issuer):
    there = trust(idp)
    idp.server.server_close()

    with pytest.raises(IssuerError, match="does not answer"):
        fetch_keys(there)


@pytest.mark.parametrize("answered", [b"", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"])
def test_an_issuer_that_falls_silent_is_not_waited_for(idp: Issuer, monkeypatch: pytest.MonkeyPatch, answered: bytes):
    monkeypatch.setattr(fetching, "DEADLINE_SECS", 0.2)
    done = threading.Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(answered)
        handler.wfile.flush()
        done.wait()

    idp.answers[KEYS] = silent
    try:
        with pytest.raises(IssuerError, match="does not answer"):
            fetch_keys(trust(idp))
    finally:
        done.set()


def test_an_issuer_that_sends_a_byte_now_and_then_has_five_seconds_in_all(idp: Issuer):
    now, turn = [0.0], threading.Semaphore(0)

    def clock() -> float:
        """Each look takes a second, and lets the issuer send another byte."""
        turn.release()
        now[0] += 1
        return now[0]

    def dripping(handler: BaseHTTPRequestHandler) -> None:
        send(b"", Content_Length="1000")(handler)
        while turn.acquire(timeout=10):
            handler.wfile.write(b" ")

    idp.answers[DISCOVERY] = dripping
    with pytest.raises(IssuerError, match="takes more than 5 s"):
        fetch_keys(trust(idp), clock)


def test_an_issuer_is_probed_only_for_the_log(idp: Issuer, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    probe(trust(idp))
    idp.answers[DISCOVERY] = send(b"", status=500)
    probe(trust(idp))

    assert [record.getMessage() for record in caplog.records if record.name == fetching.__name__] == [
        f"tokens can be checked issuer={idp.url} keys=1",
        f"tokens cannot be checked yet: {idp.url}{DISCOVERY} answers 500",
    ]


# ----------------------------------------------------------------------------- an issuer that leads us elsewhere


@pytest.mark.parametrize(
    "keys_url",
    [
        "https://evil.example/keys",
        "https://127.0.0.1/keys",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:1/keys",
        "http://127.0.0.1:1/keys",
        "file:///etc/passwd",
        "ftp://127.0.0.1/keys",
        "https://127.0.0.1@evil.example/keys",
        "https://user:password@127.0.0.1/keys",
        "//evil.example/keys",
        "/keys",
        "https://",
        "https://evil.example:99999/keys",
        "https://[::1/keys",
        "https://evil.example/\r\nX-A: b",
        "",
        None,
        7,
        ["https://evil.example/keys"],
    ],
)
def test_keys_are_fetched_from_the_issuers_host_alone(idp: Issuer, keys_url: Any):
    idp.described = {"jwks_uri": keys_url}

    with pytest.raises(IssuerError, match=r"jwks_uri|keeps its keys at"):
        fetch_keys(trust(idp))

    assert idp.asked == [DISCOVERY]


def test_the_operator_may_name_other_hosts_for_the_keys(idp: Issuer):
    allowed = trust(idp, jwks_hosts="www.googleapis.com, keys.example:8443")
    assert allowed.key_origins == {
        Origin("https", "www.googleapis.com", 443), Origin("https", "keys.example", 8443),
    }  # fmt: skip

    with issuer(FIRST) as elsewhere:
        idp.described = {"jwks_uri": f"{elsewhere.url}{KEYS}"}
        port = elsewhere.server.server_port
        # Plain http, which the settings do not give: it spares this test a certificate.
        keys = fetch_keys(replace(allowed, key_origins=frozenset({Origin("http", "127.0.0.1", port)})))

        assert list(keys) == ["first"]
        assert elsewhere.asked == [KEYS]


@pytest.mark.parametrize("described", ["https://evil.example", "", None, ["x"], 7])
def test_who_describes_another_issuer_is_not_the_one_that_is_meant(idp: Issuer, described: Any):
    idp.described = {"issuer": described}

    with pytest.raises(IssuerError, match="which is not exactly what ASSAY_AUTH_ISSUER says"):
        fetch_keys(trust(idp))

    assert idp.asked == [DISCOVERY]


def test_a_slash_at_the_end_makes_another_issuer(idp: Issuer):
    with pytest.raises(IssuerError, match="which is not exactly"):
        fetch_keys(trust(idp, f"{idp.url}/"))


@pytest.mark.parametrize("keys", [None, {}, "x", [FIRST.jwk] * 101])
def test_keys_are_a_list_of_at_most_a_hundred(idp: Issuer, keys: Any):
    idp.answers[KEYS] = send_json({"keys": keys})

    with pytest.raises(IssuerError, match="has no list of at most 100 keys"):
        fetch_keys(trust(idp))


@pytest.mark.parametrize("keys", [[], [signer("old", "RS256").jwk], ["x"]])
def test_keys_none_of_which_can_be_used_do_not_count(idp: Issuer, keys: Any):
    idp.answers[KEYS] = send_json({"keys": keys})

    with pytest.raises(IssuerError, match="has no key that can be used with ES256, EdDSA"):
        fetch_keys(trust(idp, algorithms="ES256 EdDSA"))


def test_no_password_of_the_host_goes_to_the_issuer_and_no_proxy_between_loopback_and_us(
    idp: Issuer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    seen: list[str | None] = []

    def noting(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        idp.right_answer(handler)

    idp.answers = {DISCOVERY: noting, KEYS: noting}
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    os.chmod(tmp_path / ".netrc", 0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    assert list(fetch_keys(trust(idp))) == ["first"]
    assert seen == [None, None]
