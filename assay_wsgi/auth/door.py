"""The door: from the credential that a request brings to the principal that it is from."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Protocol

from ..domain.errors import AssayError
from ..domain.errors import Unauthorized
from ..domain.errors import Unavailable
from ..domain.requests import ROLES
from ..domain.tokens import hashed
from ..settings import Settings
from ..store.store import Store
from .keys import Keys
from .principal import Principal
from .roles import EVERYWHERE
from .throttle import Allowance
from .throttle import Throttle
from .tickets import Tickets

ANYBODY = Principal.of("anonymous", [(EVERYWHERE, role) for role in ROLES])
FOUNDER = Principal.of("bootstrap", [(EVERYWHERE, "admin")])  # who makes the first key


STREAM_SECS = 600.0  # how long a stream lasts that was opened by a ticket for a token of the issuer
_KEYS_BEGIN = "assay_"
STRANGERS_A_MINUTE = 60  # lines of the audit log, in each process


class Tokens(Protocol):
    """Who verifies the tokens of an issuer."""

    def verify(self, token: str) -> Principal:
        """Give the bearer. Raises Unauthorized, Forbidden, Unavailable."""


def _verifier(settings: Settings, clock: Callable[[], float]) -> Tokens | None:
    """Make who verifies the issuer's tokens, where there is one. Raises SettingsError."""
    if not settings.jwt.issuer:
        return None
    from .jwt import Verifier  # brings libraries that nobody else needs

    return Verifier.of(settings.jwt, clock)


class Door:
    """Lets in whoever is known; with neither keys nor tokens to go by, everybody."""

    def __init__(
        self,
        *,
        tickets: Tickets,
        keys: Keys | None = None,
        tokens: Tokens | None = None,
        bootstrap_token: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._tickets = tickets
        self._clock = clock
        self._bootstrap_token = bootstrap_token
        self._throttle = Throttle(clock)
        self._strangers = Allowance(STRANGERS_A_MINUTE, clock)

    @classmethod
    def of(cls, settings: Settings, store: Store) -> Door:
        """The door that the settings ask for. Raises SettingsError."""
        auth = settings.auth
        return cls(
            keys=Keys(store, time.monotonic) if auth.api_keys else None,
            tokens=_verifier(settings, store.now_here),
            tickets=Tickets(store),
            bootstrap_token=auth.bootstrap_token,
        )

    @property
    def asks(self) -> bool:
        """Whether callers are asked who they are."""
        return self._keys is not None or self._tokens is not None

    def notes_strangers(self) -> bool:
        """Say whether the refusal of somebody unknown is written down: anybody can be refused, without end."""
        return self._strangers.take()

    def admit(self, token: str | None, *, address: str, founding: bool = False, near: bool = False) -> Principal:
        """Give the caller. `founding` = this may make the first key; `near` = from this host, without a proxy.

        Raises Unauthorized, RateLimited for who fails too often from an `address`, Forbidden, Unavailable.
        """
        if not self.asks:
            return ANYBODY
        if founding and self._may_found(token, near):
            return FOUNDER
        if token is None:
            raise Unauthorized("no credential")
        try:
            return self._bearer(token)
        except Unauthorized:
            self._throttle.failed(address)
            raise

    def watch(self, token: str | None) -> Callable[[], bool]:
        """Give what says whether an open stream's credential would still be let in."""
        return lambda: not self.asks or (token is not None and self._is_good(lambda: self._bearer(token)))

    def ticket(self, token: str | None, principal: Principal) -> str:
        """Make a ticket that stands for a credential, and for its bearer, once. Raises Unavailable."""
        key_hash = hashed(token) if token is not None and token.startswith(_KEYS_BEGIN) else None
        return self._tickets.issue(principal, key_hash)

    def redeem(self, ticket: str, *, address: str) -> tuple[Principal, Callable[[], bool]]:
        """Give the caller that a ticket stands for, and what says whether that caller would still be let in.

        Raises as `admit`.
        """
        if not self.asks:
            return ANYBODY, lambda: True
        try:
            principal, key_hash = self._tickets.redeem(ticket)
        except Unauthorized:
            self._throttle.failed(address)
            raise
        keys, until = self._keys, self._clock() + STREAM_SECS
        if keys is not None and key_hash is not None:
            return principal, lambda: self._is_good(lambda: keys.is_good(key_hash))
        return principal, lambda: self._clock() < until  # nobody keeps the token, to look at it again

    def _is_good(self, look: Callable[[], object]) -> bool:
        try:
            return bool(look())
        except Unavailable:  # whoever was let in stays in
            return True
        except AssayError:
            return False

    def _bearer(self, token: str) -> Principal:
        if self._keys is not None and token.startswith(_KEYS_BEGIN):  # no JWT begins so
            return self._keys.verify(token)
        if self._tokens is None:
            raise Unauthorized("this is no API key")
        return self._tokens.verify(token)

    def _may_found(self, token: str | None, near: bool) -> bool:
        """Say whether a caller may make the first key. Whether it is the first is decided where it is written."""
        if self._keys is None:
            return False
        if token is None:
            invited = near
        else:
            wanted = self._bootstrap_token
            invited = wanted is not None and hmac.compare_digest(token.encode(), wanted.encode())
        return invited and not self._keys.was_made()
