"""What every operation is, and those that wrap another: under an Idempotency-Key, on behalf of somebody."""

from __future__ import annotations

from dataclasses import dataclass

from ...domain.change import Change
from ...domain.errors import IdempotencyKeyReused
from ...domain.errors import NotFound
from ...domain.model import Deed
from ...domain.model import StoredAnswer
from ...domain.requests import MAIN
from ...domain.requests import Idempotency
from ...jsontext import dumps
from ...jsontext import loads
from ...settings import EngineSettings
from ...store.needs import Needs
from ...store.rows import Rows
from .. import given
from ..acting import DONE
from ..acting import Actor
from ..acting import present


class Operation:
    """What every operation is: a weight in rows, the rows it names, its decision."""

    weight = 4  # about how many rows it writes; at least as many as it needs new keys

    def needs(self, needs: Needs) -> None:
        """Name the rows that the decision looks at."""
        raise NotImplementedError

    def decide(self, rows: Rows, now: float) -> Change:
        """Decide. Raises AssayError for a refusal."""
        raise NotImplementedError

    @property
    def subject(self) -> tuple[str | None, str | None]:
        """The namespace and the thing that it is about, for the audit log. None = as the request named it."""
        return None, None


@dataclass(frozen=True)
class OnBehalf(Operation):
    """An operation that somebody asked for: written down, and kept from making namespaces where that is not theirs."""

    operation: Operation
    actor: Actor

    @property
    def weight(self) -> int:  # type: ignore[override]  # a constant elsewhere
        """The operation's rows and the line in the log."""
        return self.operation.weight + 1

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return self.operation.subject

    def needs(self, needs: Needs) -> None:
        self.operation.needs(needs)
        namespace, _ = self.subject
        if namespace is not None and not self.actor.makes_namespaces:
            needs.namespaces.add(namespace)

    def decide(self, rows: Rows, now: float) -> Change:
        actor = self.actor
        change = self.operation.decide(rows, now)
        if not actor.makes_namespaces:
            for name in change.new_namespaces:
                if name != MAIN and not rows.has_namespace(name):
                    raise NotFound(f"not found: namespace {name}", code="namespace_not_found")
        if actor.audited and change.refusal is None:
            namespace, target = self.subject
            deed = Deed(
                now, actor.name, actor.action, namespace or actor.namespace, target or actor.target, DONE,
                actor.request_id,
            )  # fmt: skip
            change.deeds.append(deed)
        return change


@dataclass(frozen=True)
class Keyed(Operation):
    """An operation under an Idempotency-Key: the first answer is kept with the effect, in the same unit."""

    operation: Operation
    idempotency: Idempotency
    keep_secs: float

    @classmethod
    def of(cls, operation: Operation, idempotency: Idempotency | None, settings: EngineSettings) -> Operation:
        """Wrap an operation as it was asked for: by somebody whom `acting` names, under a key that was sent.

        Raises Invalid.
        """
        actor = present()
        if actor is not None:
            operation = OnBehalf(operation, actor)
        if idempotency is None:
            return operation
        return cls(operation, given.idempotency(idempotency), settings.idempotency_keep_secs)

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return self.operation.subject

    @property
    def weight(self) -> int:  # type: ignore[override]  # a constant elsewhere
        """The operation's rows and the answer's."""
        return self.operation.weight + 1

    def needs(self, needs: Needs) -> None:
        self.operation.needs(needs)
        needs.answers.add((self.idempotency.scope, self.idempotency.stored_key))

    def decide(self, rows: Rows, now: float) -> Change:
        asked = self.idempotency
        stored = rows.answer(asked.scope, asked.stored_key)
        if stored is not None:
            if stored.hash != asked.hash:
                raise IdempotencyKeyReused("this Idempotency-Key was used for another request")
            return Change(answer=loads(stored.answer))
        change = self.operation.decide(rows, now)
        if change.refusal is None:
            kept = StoredAnswer(asked.scope, asked.stored_key, asked.hash, dumps(change.answer), now + self.keep_secs)
            change.stored_answers.append(kept)
        return change
