"""Operations on namespaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ...domain.change import Change
from ...domain.errors import NamespaceExists
from ...domain.errors import NamespaceNotEmpty
from ...domain.errors import NotFound
from ...store.needs import Needs
from ...store.rows import Rows
from .operation import Operation


@dataclass(frozen=True)
class CreateNamespace(Operation):
    """Make a namespace. Refused where it is there."""

    name: str
    weight = 1

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return self.name, self.name

    def needs(self, needs: Needs) -> None:
        needs.namespaces.add(self.name)

    def decide(self, rows: Rows, now: float) -> Change:
        if rows.has_namespace(self.name):
            raise NamespaceExists(f"namespace {self.name} exists already")
        return Change(answer={"name": self.name, "created_at": now}, created_namespaces=[self.name])


@dataclass(frozen=True)
class DeleteNamespace(Operation):
    """Remove a namespace that holds nothing."""

    name: str
    told: Mapping[str, Any] = field(default_factory=dict)  # what else the answer says
    weight = 5

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return self.name, self.name

    def needs(self, needs: Needs) -> None:
        needs.emptied.add(self.name)

    def decide(self, rows: Rows, now: float) -> Change:
        held = rows.held_by_namespace(self.name)
        if held is None:
            raise NotFound(f"not found: namespace {self.name}", code="namespace_not_found")
        if held.runs or held.schedules:
            raise NamespaceNotEmpty(f"namespace {self.name} holds runs or schedules: force=true deletes them, too")
        return Change(answer={"ok": True, "done": True, **self.told}, dropped_namespaces=[self.name])
