"""Operations on API keys. Each looks at all of them, under the lock that guards them."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field

from ...domain import keys
from ...domain.change import Change
from ...domain.requests import NewKey
from ...domain.requests import Where
from ...store.needs import KEYRING
from ...store.needs import Needs
from ...store.rows import Rows
from .operation import Operation


@dataclass(frozen=True)
class OnKeys(Operation):
    """An operation on the API keys that somebody manages."""

    where: Where  # keys that reach beyond are not there

    weight = 2

    def needs(self, needs: Needs) -> None:
        needs.keyring.add(KEYRING)


@dataclass(frozen=True)
class CreateKey(OnKeys):
    """Make an API key of a secret that was drawn for it."""

    wanted: NewKey
    secret: str = field(repr=False)
    by: str

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return None, keys.prefix_of(self.secret)

    def decide(self, rows: Rows, now: float) -> Change:
        all_keys, was_made = rows.keyring()
        return keys.create(all_keys, self.wanted, self.secret, self.where, self.by, now, was_made=was_made)


@dataclass(frozen=True)
class RevokeKey(OnKeys):
    """End an API key."""

    prefix: str
    keep_last: bool = True  # refused for the last one of an admin of all

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return None, keys.read_prefix(self.prefix)

    def decide(self, rows: Rows, now: float) -> Change:
        all_keys, _ = rows.keyring()
        return keys.revoke(all_keys, self.prefix, self.where, now, keep_last=self.keep_last)


@dataclass(frozen=True)
class RotateKey(OnKeys):
    """Replace an API key by one of a secret that was drawn for it."""

    prefix: str
    secret: str = field(repr=False)
    by: str
    grace_secs: float

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return None, keys.read_prefix(self.prefix)

    def decide(self, rows: Rows, now: float) -> Change:
        all_keys, _ = rows.keyring()
        return keys.rotate(all_keys, self.prefix, self.secret, self.where, self.by, self.grace_secs, now)
