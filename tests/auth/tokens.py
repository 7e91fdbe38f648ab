"""Tokens as an issuer signs them, and as nobody should: every part can be whatever a test wants."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import get_default_algorithms

ALGORITHMS = get_default_algorithms()
CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


@dataclass(frozen=True)
class Signer:
    """A key of an issuer, both halves of it."""

    kid: str
    algorithm: str
    key: Any

    @property
    def jwk(self) -> dict[str, Any]:
        """The half that is published."""
        public = ALGORITHMS[self.algorithm].to_jwk(self.key.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def sign(self, message: bytes) -> bytes:
        return ALGORITHMS[self.algorithm].sign(message, self.key)

    def header(self, **more: Any) -> dict[str, Any]:
        return {"alg": self.algorithm, "kid": self.kid, "typ": "JWT", **more}


@cache
def signer(kid: str = "first", algorithm: str = "ES256", bits: int = 2048) -> Signer:
    """Give the key of this name, the same one each time: making one takes long."""
    if algorithm in CURVES:
        return Signer(kid, algorithm, ec.generate_private_key(CURVES[algorithm]()))
    if algorithm == "EdDSA":
        return Signer(kid, algorithm, ed25519.Ed25519PrivateKey.generate())
    return Signer(kid, algorithm, rsa.generate_private_key(65537, bits))


def encoded(raw: bytes) -> str:
    """Write as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def written(members: dict[str, Any] | str | bytes) -> bytes:
    """Give a part's bytes: JSON, or what the test wants there instead."""
    if isinstance(members, bytes):
        return members
    return (members if isinstance(members, str) else json.dumps(members)).encode()


def token(
    header: dict[str, Any] | str | bytes, payload: dict[str, Any] | str | bytes, sign: Callable[[bytes], bytes]
) -> str:
    """Put a token together and sign it."""
    message = f"{encoded(written(header))}.{encoded(written(payload))}"
    return f"{message}.{encoded(sign(message.encode()))}"
