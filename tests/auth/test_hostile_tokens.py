"""Tokens that would get in elsewhere. Each is refused, and none makes us ask anybody anything.

The table of RFC 8725, of what OpenID Connect and RFC 9068 say of access tokens, and of what was found in JWT
libraries. All but the ones that are about signatures are signed by the issuer's own key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import PublicFormat

from assay_wsgi.auth.jwk import read_keys
from assay_wsgi.auth.jwks import Keys
from assay_wsgi.auth.jwt import Verifier
from assay_wsgi.auth.trust import Trust
from assay_wsgi.domain.errors import InvalidToken
from assay_wsgi.settings import JwtSettings
from tests.auth.tokens import Signer
from tests.auth.tokens import encoded
from tests.auth.tokens import signer
from tests.auth.tokens import token
from tests.auth.tokens import written

ISSUER = "https://idp.example"
NOW = 1_700_000_000.0
GOOD = {"iss": ISSUER, "aud": "assay", "sub": "ada", "iat": NOW, "exp": NOW + 600}
OURS = signer("first")
RSA = signer("old", "RS256")
STRANGER = signer("stranger")


def says(**claims: Any) -> str:
    """A token of the issuer's with other claims."""
    return token(OURS.header(), {**GOOD, **claims}, OURS.sign)


def lacks(name: str) -> str:
    return token(OURS.header(), {key: value for key, value in GOOD.items() if key != name}, OURS.sign)


def headed(by: Signer = OURS, **header: Any) -> str:
    """A token of the issuer's with another header."""
    return token(by.header(**header), GOOD, by.sign)


def raw(header: str | bytes | None = None, payload: str | bytes | None = None) -> str:
    """A token of the issuer's, one part of which is no plain object."""
    return token(OURS.header() if header is None else header, GOOD if payload is None else payload, OURS.sign)


def by_secret(secret: bytes, **header: Any) -> str:
    """Signed as if a published text were a secret between the issuer and us."""
    return token(
        {"alg": "HS256", "kid": "old", "typ": "JWT", **header}, GOOD,
        lambda message: hmac.digest(secret, message, hashlib.sha256),
    )  # fmt: skip


def resigned(change: Callable[[list[str]], None]) -> str:
    """A good token whose parts were changed afterwards."""
    parts = says().split(".")
    change(parts)
    return ".".join(parts)


def put(place: int, text: str) -> Callable[[list[str]], None]:
    def change(parts: list[str]) -> None:
        parts[place] = text

    return change


def add(place: int, text: str) -> Callable[[list[str]], None]:
    def change(parts: list[str]) -> None:
        parts[place] += text

    return change


def with_spare_bits(parts: list[str]) -> None:
    """The last character of a 64-byte signature has four bits that mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    parts[2] = parts[2][:-1] + alphabet[alphabet.index(parts[2][-1]) + 1]


PEM = RSA.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = RSA.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
DUPLICATE_CLAIM = json.dumps(GOOD)[:-1] + ', "sub": "root"}'

# Reason in the log -> what such a token is -> the token.
HOSTILE: dict[str, dict[str, str]] = {
    "an algorithm that is not taken": {
        "no algorithm": headed(alg="none"),
        "an algorithm in small letters": headed(alg="es256"),
        "an algorithm that is not taken": headed(signer("first", "ES384")),
        "HS256 with the public key in PEM as the secret": by_secret(PEM),
        "HS256 with the public key in DER as the secret": by_secret(DER),
        "HS256 with the published JWK as the secret": by_secret(json.dumps(RSA.jwk).encode()),
        "HS256 with nothing as the secret": by_secret(b""),
        "PS256 by a key that is for RS256": headed(RSA, alg="PS256"),
    },
    "a part is not base64url": {
        "no algorithm, and no signature": resigned(put(2, "")),
        "no algorithm, in capitals, and no signature": token(OURS.header(alg="NONE"), GOOD, lambda _: b""),
        "a detached payload": resigned(put(1, "")),
        "padding": resigned(add(2, "==")),
        "the other alphabet": resigned(add(1, "+/")),
        "white space": resigned(add(0, " ")),
        "a line break at the end": says() + "\n",
    },
    "the header names no algorithm": {
        "an algorithm that is no text": headed(alg=["ES256"]),
        "the header lacks its algorithm": raw(header='{"kid": "first", "typ": "JWT"}'),
    },
    "a key of another algorithm": {
        "RS256 by the name of an EC key": token(OURS.header(alg="RS256"), GOOD, RSA.sign),
    },
    "another signature": {
        "a stranger's key by our issuer's name for it": token(OURS.header(), GOOD, STRANGER.sign),
        "a signature of all zeros": token(OURS.header(), GOOD, lambda _: bytes(64)),
        "a signature in DER": token(OURS.header(), GOOD, lambda _: b"\x30\x06\x02\x01\x01\x02\x01\x01"),
        "claims changed after signing": resigned(put(1, encoded(written({**GOOD, "sub": "root"})))),
        "header changed after signing": resigned(put(0, encoded(written(OURS.header(typ="at+jwt"))))),
    },
    "the header names a key by jwk": {
        "its own key in the header": token(OURS.header(jwk=STRANGER.jwk), GOOD, STRANGER.sign),
    },
    "the header names a key by jku": {
        "its own key's address in the header": token(OURS.header(jku="https://evil.example/k"), GOOD, STRANGER.sign),
        "a key's address, though signed by the issuer": headed(jku="https://idp.example/keys"),
    },
    "the header names a key by x5c": {
        "its own certificate in the header": token(OURS.header(x5c=["MIIB"]), GOOD, STRANGER.sign),
    },
    "the header names a key by x5u": {
        "its own certificate's address in the header": headed(x5u="https://evil.example/c"),
    },
    "the header names no key by a plain kid": {
        "no kid": raw(header='{"alg": "ES256", "typ": "JWT"}'),
        "an empty kid": headed(kid=""),
        "a kid that is a path": headed(kid="../../../../dev/null"),
        "a kid that is SQL": headed(kid="' OR 1=1--"),
        "a kid that is a URL": headed(kid="https://evil.example/keys"),
        "a kid with NUL": headed(kid="first\x00"),
        "a kid with a line break": headed(kid="first\n"),
        "a kid that is no text": headed(kid=0),
        "a kid of 129 characters": headed(kid="k" * 129),
    },
    "the header has crit": {
        "crit": headed(crit=["exp"], exp=NOW + 600),
        "an empty crit": headed(crit=[]),
        "an unencoded payload": headed(b64=False, crit=["b64"]),
    },
    "the header has zip": {
        "compression": headed(zip="DEF"),
    },
    "the header has cty": {
        "a token in the token": headed(cty="JWT"),
    },
    "the header calls it another type of token": {
        "another type of token": headed(typ="secevent+jwt"),
        "a refresh token's type": headed(typ="rt+jwt"),
        "a DPoP proof": headed(typ="dpop+jwt"),
        "a type that is no text": headed(typ=None),
    },
    "a part is no JSON object, or one with a member twice": {
        "a member twice in the header": raw(header='{"alg": "none", "alg": "ES256", "kid": "first"}'),
        "a member twice, once written with escapes": raw(header='{"kid": "x", "alg": "ES256", "\\u006bid": "first"}'),
        "a claim twice": raw(payload=DUPLICATE_CLAIM),
        "a claim twice, inside another": raw(payload=json.dumps(GOOD)[:-1] + ', "a": {"b": 1, "b": 2}}'),
        "NaN in a claim": raw(payload=json.dumps({**GOOD, "exp": float("nan")})),
        "a payload that is a list": raw(payload=json.dumps([GOOD])),
        "a payload that is no JSON": raw(payload="exp=9999999999"),
        "a payload that is no UTF-8": raw(payload=b'{"sub": "\xff"}'),
        "a payload in UTF-16": raw(payload=json.dumps(GOOD).encode("utf-16")),
        "a payload nested without end": raw(payload="[" * 3000 + "]" * 3000),
        "a number of five thousand digits": raw(payload=json.dumps(GOOD)[:-1] + ', "n": ' + "9" * 5000 + "}"),
        "a header that is a list": raw(header='["ES256"]'),
        "an end beyond all numbers": raw(payload=json.dumps(GOOD).replace(str(NOW + 600), "1e400")),
    },
    "not of three parts": {
        "two parts": ".".join(says().split(".")[:2]),
        "four parts": says() + ".e30",
        "five parts, as if encrypted": says() + ".e30.e30",
    },
    "a part is base64url with spare bits": {
        "spare bits in the signature": resigned(with_spare_bits),
    },
    "longer than 8 KiB": {
        "more than eight kilobytes": says(padding="x" * 8192),
        "a megabyte": says(padding="x" * 1_000_000),
    },
    "expired": {
        "expired": says(exp=NOW - 30, iat=NOW - 600),
    },
    "not good yet": {
        "not good yet": says(nbf=NOW + 31),
    },
    "issued in the future": {
        "issued in the future": says(iat=NOW + 31, exp=NOW + 600),
    },
    "good for more than a day": {
        "good for more than a day": says(exp=NOW + 86_401),
        "issued after it expires": says(iat=NOW + 20, exp=NOW + 10),
    },
    "no time in exp": {
        "an end that is a text": says(exp=str(NOW + 600)),
        "an end that is true": says(exp=True),
        "no end": lacks("exp"),
    },
    "no time in nbf": {
        "a start that is null": says(nbf=None),
    },
    "no time in iat": {
        "no time of issue": lacks("iat"),
    },
    "another issuer": {
        "another issuer": says(iss="https://evil.example"),
        "the issuer with a slash too many": says(iss=f"{ISSUER}/"),
        "a list of issuers": says(iss=[ISSUER]),
        "no issuer": lacks("iss"),
    },
    "another audience": {
        "another audience": says(aud="billing"),
        "an audience that ours begins with": says(aud="assay-admin"),
        "an audience in an object": says(aud={"assay": True}),
        "a list of audiences, one of which is no text": says(aud=["assay", 1]),
        "no audience at all": says(aud=[]),
        "no audience": lacks("aud"),
    },
    "no subject of 1 to 255 printable characters": {
        "nobody": lacks("sub"),
        "an empty subject": says(sub=""),
        "a subject that is a number": says(sub=1),
        "a subject of 256 characters": says(sub="x" * 256),
        "a subject with a line break": says(sub="ada\nrole=admin"),
        "a subject that reads backwards": says(sub="ada\u202eroot"),
        "a subject of half a character": says(sub="\ud800"),
    },
    "an ID token": {
        "an ID token": says(at_hash="x"),
        "an ID token of Keycloak": says(typ="ID"),
        "an ID token of Cognito": says(token_use="id"),
    },
    "bound to a key of its holder": {
        "bound to a key whose proof nobody asks for": says(cnf={"jkt": "x"}),
    },
}  # fmt: skip


@pytest.fixture
def asked() -> list[None]:
    """One for each time that the issuer's keys were fetched."""
    return []


@pytest.fixture
def verifier(asked: list[None]) -> Verifier:
    trust = Trust.of(JwtSettings(issuer=ISSUER, audience="assay"))

    def fetch() -> Any:
        asked.append(None)
        return read_keys([OURS.jwk, RSA.jwk], trust.algorithms)

    checks = Verifier(trust, Keys(fetch, lambda: NOW), lambda: NOW)
    checks.verify(says())
    return checks


@pytest.mark.parametrize(("reason", "name"), [(reason, name) for reason, tokens in HOSTILE.items() for name in tokens])
def test_a_hostile_token_is_refused_for_its_own_reason_and_nobody_is_asked(
    verifier: Verifier, asked: list[None], reason: str, name: str
):
    with pytest.raises(InvalidToken) as refused:
        verifier.verify(HOSTILE[reason][name])

    assert str(refused.value) == reason
    assert len(asked) == 1


def test_there_are_many_of_them_and_no_two_are_the_same():
    all_of_them = [token for tokens in HOSTILE.values() for token in tokens.values()]

    assert len(set(all_of_them)) == len(all_of_them) > 30


@pytest.mark.parametrize(
    "good",
    [
        says(),
        headed(typ="at+jwt"),
        headed(typ="application/at+jwt"),
        headed(typ="jwt"),
        headed(x5t="a-thumbprint"),
        headed(RSA),
        token('{"alg": "ES256", "kid": "first"}', GOOD, OURS.sign),
        says(aud=["billing", "assay"]),
        says(exp=NOW - 29, iat=NOW - 600),
        says(nbf=NOW + 30),
        says(iat=NOW + 30),
        says(exp=NOW + 86_400),
        says(exp=NOW + 600.5),
        says(sub="x" * 255),
        says(sub="Zoë"),
        says(nonce="n", jti="j", groups=["a"]),
    ],
    ids=lambda _: "token",  # each is signed anew
)
def test_a_good_token_says_who_it_is(verifier: Verifier, good: str):
    assert verifier.verify(good).name.startswith(f"{ISSUER}#")
