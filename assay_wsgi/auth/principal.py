"""A caller who is known: the name that stands in records, and the roles in each namespace."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass

from .roles import ALLOWS
from .roles import EVERYWHERE
from .roles import NEEDS_NO_ROLE
from .roles import ONLY_EVERYWHERE
from .roles import Access


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. Two callers never have the same name: it scopes idempotency keys and stands in the audit log."""

    name: str
    roles: Mapping[str, frozenset[str]]  # namespace, or EVERYWHERE -> roles

    @classmethod
    def of(cls, name: str, grants: Iterable[tuple[str, str]]) -> Principal:
        """Make one of (namespace, role) pairs; EVERYWHERE stands for all namespaces.

        Raises ValueError for a role that there is not.
        """
        roles: dict[str, frozenset[str]] = {}
        for namespace, role in grants:
            if role not in ALLOWS:
                raise ValueError(f"{role!r:.60} is no role: there are {', '.join(ALLOWS)}")
            roles[namespace] = roles.get(namespace, frozenset()) | {role}
        return cls(name, roles)

    def reach(self, access: Access) -> frozenset[str] | None:
        """Give the namespaces in which this caller has an access: None = all, an empty set = nowhere."""
        if access in NEEDS_NO_ROLE or self._has(EVERYWHERE, access):
            return None
        if access in ONLY_EVERYWHERE:
            return frozenset()
        return frozenset(namespace for namespace in self.roles if self._has(namespace, access))

    def _has(self, namespace: str, access: Access) -> bool:
        return any(access in ALLOWS[role] for role in self.roles.get(namespace, ()))
