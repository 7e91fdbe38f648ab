"""Whatever is sent as a token is refused in one way, and whatever the issuer signs is read in one way."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_wsgi.auth.jwk import read_keys
from assay_wsgi.auth.jwks import Keys
from assay_wsgi.auth.jwt import Verifier
from assay_wsgi.auth.trust import Trust
from assay_wsgi.domain.errors import Forbidden
from assay_wsgi.domain.errors import InvalidToken
from assay_wsgi.settings import JwtSettings
from tests.auth.tokens import signer
from tests.auth.tokens import token

NOW = 1_700_000_000.0
OURS = signer("first")
GOOD = {"iss": "https://idp.example", "aud": "assay", "sub": "ada", "iat": NOW, "exp": NOW + 600, "groups": ["a"]}
TOKEN = token(OURS.header(), GOOD, OURS.sign)
TRUST = Trust.of(
    JwtSettings(issuer="https://idp.example", audience="assay", role_claim="groups", role_map="a=viewer@shop")
)
ALPHABET = string.ascii_letters + string.digits + "-_.=+/ "

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier(TRUST, Keys(lambda: read_keys([OURS.jwk], TRUST.algorithms), lambda: NOW), lambda: NOW)


def refused(verifier: Verifier, sent: str) -> bool:
    try:
        verifier.verify(sent)
    except (InvalidToken, Forbidden):
        return True
    return False


@given(sent=st.text(max_size=300) | st.text(ALPHABET, max_size=300))
def test_what_is_no_token_is_refused(verifier: Verifier, sent: str):
    assert refused(verifier, sent)


@given(place=st.integers(0, len(TOKEN) - 1), character=st.sampled_from(ALPHABET))
def test_a_token_in_which_a_character_is_another_is_refused(verifier: Verifier, place: int, character: str):
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]

    assert refused(verifier, changed) is (changed != TOKEN)


@given(
    members=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "jku", "jwk", "x5t", "b64", "zip"]), JSON, min_size=1
    )
)
def test_no_header_breaks_the_reading_of_it(verifier: Verifier, members: dict[str, Any]):
    sent = token(OURS.header(**members), GOOD, OURS.sign)

    assert refused(verifier, sent) is (members.keys() != {"x5t"})


@given(
    name=st.sampled_from([*GOOD, "nbf", "cnf", "at_hash", "typ"]),
    value=JSON | st.sampled_from([NOW, NOW + 1, "assay", ["assay"], "a", ["a", "b"]]),
)
def test_no_claim_breaks_the_reading_of_it(verifier: Verifier, name: str, value: Any):
    sent = token(OURS.header(), {**GOOD, name: value}, OURS.sign)

    if not refused(verifier, sent):
        bearer = verifier.verify(sent)
        assert bearer.name == f"https://idp.example#{({**GOOD, name: value})['sub']}"
        assert bearer.roles == {"shop": {"viewer"}}
