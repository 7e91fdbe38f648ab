"""From a claim of the token to roles: only what the operator has listed gives one.

The map is written `value=role` or `value=role@namespace,namespace`, semicolons between entries:

    platform=admin; orders-team=operator@orders; orders-team=worker@orders; auditors=viewer
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .roles import ALLOWS
from .roles import EVERYWHERE

_MAX_NAME_CHARS = 255
_SPACED = frozenset({"scope", "scp"})  # RFC 8693 and RFC 9068: one text, spaces between its values


@dataclass(frozen=True, slots=True)
class RoleMap:
    """Which values of which claim give which roles."""

    claim: str  # a member of the token, or the way to one: realm_access.roles
    grants: Mapping[str, tuple[tuple[str, str], ...]]  # value -> (namespace, role)

    @classmethod
    def read(cls, claim: str, text: str) -> RoleMap:
        """Read what the operator wrote. Raises ValueError."""
        if not claim:
            raise ValueError("ASSAY_AUTH_ROLE_CLAIM must name the claim that holds these values")
        grants: dict[str, tuple[tuple[str, str], ...]] = {}
        for entry in filter(None, (part.strip() for part in text.replace("\n", ";").split(";"))):
            value, granted = _entry(entry)
            grants[value] = grants.get(value, ()) + granted
        if not grants:
            raise ValueError(
                "ASSAY_AUTH_ROLE_CLAIM is set and no value of it gives a role: "
                "write value=role or value=role@namespace, semicolons between them"
            )
        return cls(claim, grants)

    def granted(self, claims: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Give the (namespace, role) pairs of a token; none where nothing in it is listed."""
        return [pair for value in self._values(claims) for pair in self.grants.get(value, ())]

    def _values(self, claims: Mapping[str, Any]) -> Iterator[str]:
        held = _find(claims, self.claim)
        if isinstance(held, str):
            yield from held.split(" ") if self.claim in _SPACED else (held,)
        elif isinstance(held, list):
            yield from (value for value in held if isinstance(value, str))


def _find(claims: Mapping[str, Any], path: str) -> Any:
    """Follow the dots; a member of exactly this name comes first, since names may be URLs."""
    if path in claims:
        return claims[path]
    held: Any = claims
    for name in path.split("."):
        held = held.get(name) if isinstance(held, dict) else None
    return held


def _entry(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    value, equals, granted = text.rpartition("=")  # a value may be CN=admins,OU=...
    role, at, listed = granted.strip().partition("@")
    value, role = value.strip(), role.strip()
    if not equals or not value or not role:
        raise ValueError(f"{text!r:.200} is no entry: write value=role or value=role@namespace,namespace")
    if role not in ALLOWS:
        raise ValueError(f"{text!r:.200}: {role!r:.60} is no role: there are {', '.join(ALLOWS)}")
    namespaces = [name.strip() for name in listed.split(",")] if at else [EVERYWHERE]
    if not all(0 < len(name) <= _MAX_NAME_CHARS and name.isprintable() for name in namespaces):
        raise ValueError(f"{text!r:.200}: after @ stand names of namespaces, commas between them")
    return value, tuple((namespace, role) for namespace in namespaces)
