"""A published key, and the algorithms that it may be used with."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

log = logging.getLogger(__name__)

# Algorithm -> the kind of key that it takes, and its curve. Secrets that both sides know (HS256 ...) and `none`
# are not among them, so nothing can be configured that would take them.
KIND_OF_KEY: dict[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192  # beyond that one signature costs milliseconds

# kid -> algorithm -> the key bound to that algorithm.
KeySet = Mapping[str, Mapping[str, PyJWK]]


def read_keys(published: Iterable[Any], algorithms: Iterable[str]) -> KeySet:
    """Take from published keys those that can be used, each bound to the algorithms that it allows.

    What cannot be used is left out with a line in the log; two keys that one token could mean are both left out.
    """
    allowed = tuple(algorithms)
    found: dict[str, dict[str, PyJWK]] = {}
    doubtful: set[tuple[str, str]] = set()
    for member in published:
        if not isinstance(member, dict) or not isinstance(kid := member.get("kid"), str):
            log.warning("a key of the issuer has no kid and is left out")
            continue
        bound = _bound(member, allowed)
        if not bound:
            log.info("a key of the issuer cannot be used and is left out kid=%.128r", kid)
        for algorithm, key in bound.items():
            if algorithm in found.setdefault(kid, {}):
                doubtful.add((kid, algorithm))
            found[kid][algorithm] = key
    for kid, algorithm in doubtful:
        log.warning("the issuer has two keys of one kid, which are left out kid=%.128r", kid)
        del found[kid][algorithm]
    return {kid: keys for kid, keys in found.items() if keys}


def _bound(member: dict[str, Any], algorithms: Iterable[str]) -> dict[str, PyJWK]:
    operations = member.get("key_ops", ["verify"])
    if member.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return {}
    if "d" in member:  # a private key that everybody can read proves nothing
        return {}
    kind = (member.get("kty"), member.get("crv"))
    fitting = [
        algorithm
        for algorithm in algorithms
        if KIND_OF_KEY[algorithm] == kind and member.get("alg", algorithm) == algorithm
    ]
    try:
        bound = {algorithm: PyJWK(member, algorithm) for algorithm in fitting}
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    if any(_ill_sized(key.key) for key in bound.values()):
        return {}
    return bound


def _ill_sized(key: Any) -> bool:
    return isinstance(key, RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
