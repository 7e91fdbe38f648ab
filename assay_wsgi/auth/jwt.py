"""From a JWT of the operator's issuer to a Principal. RFC 8725 says what goes wrong elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from jwt import PyJWK
from jwt import PyJWS
from jwt.exceptions import PyJWTError

from ..domain.errors import InvalidToken
from ..domain.errors import NoRole
from ..settings import JwtSettings
from . import claims
from . import compact
from .issuer import fetch_keys
from .jwks import Keys
from .principal import Principal
from .roles import EVERYWHERE
from .trust import Trust

log = logging.getLogger(__name__)

# assay 0.1.8 lets every valid token do everything; so do we until the operator says what gives which role.
_EVERYTHING = ((EVERYWHERE, "admin"), (EVERYWHERE, "worker"))


class Verifier:
    """Checks the tokens of one issuer. Safe for threads."""

    def __init__(self, trust: Trust, keys: Keys, clock: Callable[[], float]) -> None:
        """Check against `trust`, with `keys`; `clock` gives seconds since the epoch."""
        self._trust = trust
        self._keys = keys
        self._clock = clock
        self._jws = PyJWS(algorithms=trust.algorithms)

    @classmethod
    def of(cls, settings: JwtSettings, clock: Callable[[], float]) -> Verifier:
        """Make the verifier that the settings ask for. Raises SettingsError."""
        trust = Trust.of(settings)
        if trust.role_map is None:
            log.warning(
                "every valid token of %s may do everything: ASSAY_AUTH_ROLE_CLAIM and ASSAY_AUTH_ROLE_MAP say "
                "which give which role", trust.issuer,
            )  # fmt: skip
        return cls(trust, Keys(partial(fetch_keys, trust)), clock)

    def verify(self, token: str) -> Principal:
        """Say who sends this token. Raises InvalidToken, NoRole, IssuerUnavailable."""
        held = self._proven(token)
        # No issuer has a fragment, so no two (issuer, subject) give one name.
        name = f"{self._trust.issuer}#{claims.check(held, self._trust, self._clock())}"
        granted = self._trust.role_map.granted(held) if self._trust.role_map else _EVERYTHING
        if not granted:
            log.info("a good token has no role here bearer=%s", name)
            raise NoRole("this token has no role here: ask who runs the service for one")
        return Principal.of(name, granted)

    def _proven(self, token: str) -> dict[str, Any]:
        """Give what the token claims, once its signature has shown that the issuer says it."""
        header = compact.read_header(token)
        if header.algorithm not in self._trust.algorithms:
            raise InvalidToken("an algorithm that is not taken")
        key = self._keys.find(header.key_id).get(header.algorithm)
        if key is None:
            raise InvalidToken("a key of another algorithm")
        return compact.read_members(self._signed(token, key))

    def _signed(self, token: str, key: PyJWK) -> bytes:
        """Give the payload, if it is signed by this key with the one algorithm that the key is bound to."""
        try:
            payload: bytes = self._jws.decode(token, key, algorithms=[key.algorithm_name])
        except PyJWTError:
            raise InvalidToken("another signature") from None
        return payload
