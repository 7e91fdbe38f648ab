"""API keys: who may make, end and replace which, decided over all keys that there are.

A key is `assay_` and 64 hex digits. It is shown once, to whoever had it made; kept are its SHA-256 and its
prefix, `assay_` and the first 8 digits, by which people name it. No two keys have the same prefix.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from ..jsontext import dumps
from ..jsontext import loads
from .change import Change
from .errors import Invalid
from .errors import KeyReplaced
from .errors import LastAdminKey
from .errors import NotFound
from .errors import PrefixTaken
from .errors import Unauthorized
from .model import ApiKey
from .requests import NewKey
from .requests import Where
from .tokens import hashed

PREFIX_CHARS = 14
ADMIN = "admin"
_DOTS = "..."
_PREFIX = re.compile(r"assay_[0-9a-f]{8}(?:[0-9a-f]{56})?")  # who gives the whole key means the same
_SECRET = re.compile(r"(assay_[0-9a-fA-F]{8})[0-9a-fA-F]+")


def prefix_of(secret: str) -> str:
    """Give the prefix under which a key is shown."""
    return secret[:PREFIX_CHARS] + _DOTS


def read_prefix(text: str) -> str:
    """Read a prefix as people write it, with its dots or without them, or a key. Raises NotFound for what is none."""
    bare = text.removesuffix(_DOTS)
    if _PREFIX.fullmatch(bare) is None:
        raise NotFound(f"not found: API key {masked(text)[:200]}")
    return prefix_of(bare)


def masked(text: str) -> str:
    """Leave the prefix alone of each key in a text that people may see."""
    return _SECRET.sub(rf"\1{_DOTS}", text)


def is_live(key: ApiKey, now: float) -> bool:
    """Say whether a key opens the door."""
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def namespaces_of(key: ApiKey) -> frozenset[str] | None:
    """Give the namespaces that a key is for; None = all."""
    return None if key.namespaces is None else frozenset(loads(key.namespaces))


def roles_of(key: ApiKey) -> list[str]:
    """Give the roles that a key has there."""
    roles: list[str] = loads(key.roles)
    return roles


def is_managed(key: ApiKey, where: Where) -> bool:
    """Say whether all that a key reaches lies within `where`."""
    if where is None:
        return True
    reached = namespaces_of(key)
    return reached is not None and reached <= ({where} if isinstance(where, str) else where)


def record(key: ApiKey) -> dict[str, Any]:
    """Show a key; the key itself is not in it."""
    reached = namespaces_of(key)
    return {
        "prefix": key.prefix,
        "label": key.label,
        "roles": roles_of(key),
        "namespaces": None if reached is None else sorted(reached),
        "created_by": key.created_by,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "replaced_by": key.replaced_by,
    }


def create(
    keys: Sequence[ApiKey], wanted: NewKey, secret: str, where: Where, by: str, now: float, *, was_made: bool
) -> Change:
    """Make a key. Answers its record and whether it is new: with `idempotent`, a live one of the label will do.

    `was_made` = a key was made before, ever. Raises Unauthorized for a first key that is not, Invalid for one that
    could make no others, PrefixTaken.
    """
    if wanted.first and was_made:
        raise Unauthorized("a key was made before: the door that needs none is closed for good")
    if wanted.first and (wanted.namespaces is not None or ADMIN not in wanted.roles):
        raise Invalid(
            "the first key closes the door that needs none, so it must open all others: "
            "leave out namespaces, and have admin among its roles, or leave them out too",
            code="invalid_value",
        )
    if wanted.idempotent:
        for key in keys:
            of_label = key.label == wanted.label and is_live(key, now) and key.replaced_by is None
            if of_label and is_managed(key, where):
                return Change(answer={"created": False, "key": record(key)})
    reached = wanted.namespaces if wanted.namespaces is not None else _all_within(where)
    new = ApiKey(
        key_hash=hashed(secret),
        prefix=prefix_of(secret),
        label=wanted.label,
        roles=dumps(list(wanted.roles)),
        namespaces=None if reached is None else dumps(sorted(reached)),
        created_by=by,
        created_at=now,
        expires_at=None if wanted.expires_in_secs is None else now + wanted.expires_in_secs,
        last_used_at=None,
        revoked_at=None,
        replaced_by=None,
    )
    return _made(keys, new)


def revoke(keys: Sequence[ApiKey], prefix: str, where: Where, now: float, *, keep_last: bool = True) -> Change:
    """End a key. Raises NotFound, LastAdminKey unless the last may go, too."""
    key = _of_prefix(keys, prefix, where, now)
    if keep_last and _governs(key, now) and not any(_governs_after(other, key, now) for other in keys):
        raise LastAdminKey(
            f"{key.prefix} is the last key of an admin of all namespaces: make another one first, or nobody could"
        )
    return Change(answer={"ok": True}, api_keys=[key._replace(revoked_at=now)])


def rotate(
    keys: Sequence[ApiKey], prefix: str, secret: str, where: Where, by: str, grace_secs: float, now: float
) -> Change:
    """Make a successor with the same rights and the same span of life; the old key works for `grace_secs` more.

    Raises NotFound, KeyReplaced for one that has a successor, PrefixTaken.
    """
    key = _of_prefix(keys, prefix, where, now)
    if key.replaced_by is not None:
        raise KeyReplaced(f"{key.prefix} was replaced by {key.replaced_by}: rotate that one")
    ends_at = now + grace_secs
    new = key._replace(
        key_hash=hashed(secret),
        prefix=prefix_of(secret),
        created_by=by,
        created_at=now,
        expires_at=None if key.expires_at is None else now + (key.expires_at - key.created_at),
        last_used_at=None,
    )
    old = key._replace(
        replaced_by=new.prefix, expires_at=ends_at if key.expires_at is None else min(ends_at, key.expires_at)
    )
    change = _made(keys, new)
    change.api_keys.append(old)
    return change


def _made(keys: Sequence[ApiKey], new: ApiKey) -> Change:
    if any(key.prefix == new.prefix for key in keys):
        raise PrefixTaken(f"there is a key {new.prefix} already")
    return Change(answer={"created": True, "key": record(new)}, api_keys=[new])


def _of_prefix(keys: Sequence[ApiKey], prefix: str, where: Where, now: float) -> ApiKey:
    wanted = read_prefix(prefix)
    for key in keys:
        if key.prefix == wanted and is_live(key, now) and is_managed(key, where):
            return key
    raise NotFound(f"not found: API key {wanted}")


def _governs(key: ApiKey, now: float) -> bool:
    """Say whether a key is an admin's of all namespaces, and will stay."""
    return is_live(key, now) and key.replaced_by is None and key.namespaces is None and ADMIN in roles_of(key)


def _governs_after(other: ApiKey, key: ApiKey, now: float) -> bool:
    """Say whether another key is an admin's of all namespaces, and ends no sooner than this one would."""
    ends, would_end = ((math.inf if each.expires_at is None else each.expires_at) for each in (other, key))
    return other is not key and _governs(other, now) and ends >= would_end


def _all_within(where: Where) -> frozenset[str] | None:
    return frozenset({where}) if isinstance(where, str) else where
