"""What every operation is, and the one that wraps another under an Idempotency-Key."""

from __future__ import annotations

from dataclasses import dataclass

from ...domain.change import Change
from ...domain.errors import IdempotencyKeyReused
from ...domain.model import StoredAnswer
from ...domain.requests import Idempotency
from ...jsontext import dumps
from ...jsontext import loads
from ...settings import EngineSettings
from ...store.needs import Needs
from ...store.rows import Rows
from .. import given


class Operation:
    """What every operation is: a weight in rows, the rows it names, its decision."""

    weight = 4  # about how many rows it writes; at least as many as it needs new keys

    def needs(self, needs: Needs) -> None:
        """Name the rows that the decision looks at."""
        raise NotImplementedError

    def decide(self, rows: Rows, now: float) -> Change:
        """Decide. Raises AssayError for a refusal."""
        raise NotImplementedError


@dataclass(frozen=True)
class Keyed(Operation):
    """An operation under an Idempotency-Key: the first answer is kept with the effect, in the same unit."""

    operation: Operation
    idempotency: Idempotency
    keep_secs: float

    @classmethod
    def of(cls, operation: Operation, idempotency: Idempotency | None, settings: EngineSettings) -> Operation:
        """Wrap an operation where its caller sent a key. Raises Invalid."""
        if idempotency is None:
            return operation
        return cls(operation, given.idempotency(idempotency), settings.idempotency_keep_secs)

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
