"""What a body must be, before anybody looks for its fields."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from assay_wsgi.api import bodies
from assay_wsgi.domain.errors import Invalid


def refusal_of(raw: bytes) -> str:
    with pytest.raises(Invalid) as refused:
        bodies.parse_object(raw)
    return refused.value.code


def request_with(**environ: Any) -> Request:
    return Request({**EnvironBuilder(method="POST").get_environ(), **environ})


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{}", b" [ ] "])
def test_nothing_and_an_empty_array_are_an_empty_object(raw: bytes) -> None:
    assert bodies.parse_object(raw) == {}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "invalid_json"),
        (b'{"a": 1} x', "invalid_json"),
        (b'{"a": "\xff"}', "invalid_json"),
        ('{"a": 1}'.encode("utf-16"), "invalid_json"),
        (b'"text"', "invalid_type"),
        (b"[1]", "invalid_type"),
        (b"true", "invalid_type"),
        (b"0", "invalid_type"),
        (b'{"a": NaN}', "non_finite_number"),
        (b'{"a": -Infinity}', "non_finite_number"),
        (b'{"a": 1e400}', "non_finite_number"),
        (b'{"a": 12345678901234567890, "b": NaN}', "non_finite_number"),
        (b'{"a": 12345678901234567890, "b": 1e400}', "non_finite_number"),
        (b'{"a": ' + b"1" * 5000 + b"}", "number_too_long"),
        (b'{"a": "\\ud800"}', "invalid_unicode"),
        (b'{"\\udc00": 1}', "invalid_unicode"),
        (b'{"a": 12345678901234567890, "b": "\\ud800"}', "invalid_unicode"),
    ],
)
def test_what_is_no_json_object_is_refused(raw: bytes, code: str) -> None:
    assert refusal_of(raw) == code


def test_pairs_of_surrogates_are_a_character() -> None:
    assert bodies.parse_object(b'{"a": "\\ud83d\\ude00", "b": 12345678901234567890}') == {
        "a": "\U0001f600",
        "b": 12345678901234567890,
    }


@pytest.mark.parametrize("long", [b"", b', "n": 12345678901234567890'])
def test_sixty_four_levels_are_deep_enough(long: bytes) -> None:
    inside = bodies.MAX_DEPTH - 1

    assert "a" in bodies.parse_object(b'{"a": ' + b"[" * inside + b"]" * inside + long + b"}")
    assert refusal_of(b'{"a": ' + b"[" * (inside + 1) + b"]" * (inside + 1) + long + b"}") == "too_deep"
    assert refusal_of(b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + long + b"}") == "too_deep"
    assert refusal_of(b'{"a":' * 1000 + b"1" + b"}" * 1000) == "too_deep"


def test_brackets_in_texts_are_not_depth() -> None:
    text = b'"' + b"[{" * 100 + b'\\"' + b"[{" * 100 + b"\\\\" + b'"'

    assert bodies.parse_object(b'{"a": ' + text + b', "b": "}]"}')["b"] == "}]"


def test_many_shallow_items_are_not_depth() -> None:
    assert len(bodies.parse_object(b'{"a": [' + b"[{}]," * 500 + b"1]}")["a"]) == 501


def test_a_body_is_read_by_its_length() -> None:
    request = request_with(
        **{
            "wsgi.input": io.BytesIO(b'{"a":1}trailing'),
            "CONTENT_LENGTH": "7",
            "CONTENT_TYPE": "application/json",
        }
    )

    assert bodies.read_bytes(request) == b'{"a":1}'


def test_a_body_that_the_host_has_read_before_is_there() -> None:
    request = request_with(
        **{"wsgi.input": io.BytesIO(b'{"a":1}'), "CONTENT_LENGTH": "7", "CONTENT_TYPE": "application/json"}
    )
    request.get_data()

    assert bodies.read_bytes(request) == b'{"a":1}'


@pytest.mark.parametrize(
    "framing",
    [{"CONTENT_LENGTH": str(5 << 20)}, {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}],
)
def test_a_body_beyond_4_mib_is_not_read_to_its_end(framing: dict[str, Any]) -> None:
    endless = io.BytesIO(b" " * (5 << 20))
    request = request_with(**{"wsgi.input": endless, "CONTENT_TYPE": "application/json", **framing})

    with pytest.raises(Invalid) as refused:
        bodies.read_bytes(request)
    assert refused.value.code == "payload_too_large"
    assert endless.tell() <= bodies.MAX_BODY_BYTES + 1


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/ld+json"])
def test_json_comes_under_several_names(kind: str) -> None:
    request = request_with(**{"wsgi.input": io.BytesIO(b"{}"), "CONTENT_LENGTH": "2", "CONTENT_TYPE": kind})

    assert bodies.read_bytes(request) == b"{}"


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_other_content_types_are_refused_unless_there_is_no_body(kind: str) -> None:
    some = request_with(**{"wsgi.input": io.BytesIO(b"{}"), "CONTENT_LENGTH": "2", "CONTENT_TYPE": kind})
    none = request_with(CONTENT_LENGTH="0", CONTENT_TYPE=kind)

    with pytest.raises(Invalid) as refused:
        bodies.read_bytes(some)
    assert refused.value.code == "unsupported_media_type"
    assert bodies.read_bytes(none) == b""
