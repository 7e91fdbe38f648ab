"""Which of the issuer's published keys are used, and for what."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.auth.jwk import KIND_OF_KEY
from assay_wsgi.auth.jwk import read_keys
from tests.auth.tokens import signer

EC = signer("first").jwk
RSA = signer("old", "RS256").jwk
ALL = tuple(KIND_OF_KEY)


def read(*published: Any, algorithms: tuple[str, ...] = ALL) -> dict[str, list[str]]:
    """Give kid -> the algorithms that its key is bound to."""
    return {kid: sorted(keys) for kid, keys in read_keys(published, algorithms).items()}


def without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in names}


@pytest.mark.parametrize("algorithm", ALL)
def test_a_key_of_each_algorithm_is_used_for_it_alone(algorithm: str):
    assert read(signer(f"a-{algorithm}", algorithm).jwk) == {f"a-{algorithm}": [algorithm]}


def test_a_key_that_names_no_algorithm_is_used_for_those_of_its_kind():
    assert read(without(RSA, "alg")) == {"old": ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]}
    assert read(without(EC, "alg")) == {"first": ["ES256"]}


def test_only_the_algorithms_that_are_taken_count():
    assert read(RSA, EC, algorithms=("ES256",)) == {"first": ["ES256"]}
    assert read(without(RSA, "alg"), algorithms=("PS256",)) == {"old": ["PS256"]}


@pytest.mark.parametrize(
    "useless",
    [
        {**EC, "use": "enc"},
        {**EC, "key_ops": ["sign"]},
        {**EC, "key_ops": "verify"},
        {**EC, "alg": "RS256"},
        {**EC, "alg": "ES384"},
        {**EC, "crv": "P-384"},
        {**EC, "kty": "RSA"},
        {**EC, "x": "AA"},
        {**EC, "x": 5},
        {**EC, "d": "AQ"},
        without(EC, "crv"),
        without(EC, "y"),
        without(EC, "kid"),
        {**EC, "kid": 7},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret", "alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {**RSA, "n": "AQAB"},
        {**RSA, "e": ""},
        {"kid": "nothing"},
        "first",
        None,
    ],
    ids=lambda _: "key",  # each is made anew
)
def test_a_key_that_cannot_be_meant_is_left_out_and_the_others_are_used(useless: Any):
    assert read(useless, RSA) == {"old": ["RS256"]}


def test_an_rsa_key_of_less_than_2048_bits_is_left_out():
    assert read(signer("weak", "RS256", bits=1024).jwk) == {}


def test_two_keys_of_one_kid_and_algorithm_are_both_left_out():
    assert read(EC, {**signer("second").jwk, "kid": "first"}, RSA) == {"old": ["RS256"]}


def test_keys_of_two_kinds_may_have_one_kid():
    assert read(EC, {**RSA, "kid": "first"}) == {"first": ["ES256", "RS256"]}
