"""What a unit of work is asked to find, lock and load: the rows that its operations name.

A decision that misses a row raises `Missing` with what it lacks; the unit then begins again with the
larger set. Nothing was written before, so beginning again costs only time.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field

KEYRING = "first_key_made"  # the fact in `meta` whose row is locked by whoever makes or changes API keys


@dataclass(slots=True)
class Needs:
    """Rows that a unit works on."""

    names: set[tuple[str, str]] = field(default_factory=set)  # (namespace, workflow_id): its newest run
    runs: set[int] = field(default_factory=set)
    activities: set[int] = field(default_factory=set)  # by key; their runs are locked
    closing: set[int] = field(default_factory=set)  # run_key: may close, so its parent is locked with it
    closing_names: set[tuple[str, str]] = field(default_factory=set)  # (namespace, workflow_id): likewise
    chains: set[int] = field(default_factory=set)  # first run_key: the newest run of the chain
    seqs: set[tuple[int, int]] = field(default_factory=set)  # (run_key, seq) of activities
    timers: set[tuple[int, int]] = field(default_factory=set)  # (run_key, seq)
    recorded: set[tuple[int, str, int]] = field(default_factory=set)  # (run_key, event_type, ref_seq)
    snapshots: set[int] = field(default_factory=set)  # run_key
    signal_ids: set[tuple[str, str, int | None, str]] = field(
        default_factory=set
    )  # (namespace, id, run_key, signal_id)
    unread: set[tuple[int, int]] = field(default_factory=set)  # (run_key, after seq): signals
    carried: set[tuple[int, int]] = field(default_factory=set)  # (run_key, from seq): signals with their payloads
    child_ends: set[tuple[int, int]] = field(default_factory=set)  # (run_key, after seq): whether a child's end came
    polls: set[tuple[str, str]] = field(default_factory=set)  # (namespace, queue): when it was last polled
    open_children: set[int] = field(default_factory=set)  # first run_key of the parents: how many are open
    answers: set[tuple[str, str]] = field(default_factory=set)  # (scope, key) of Idempotency-Keys
    workers: set[tuple[str, str]] = field(default_factory=set)  # (namespace, worker_id)
    namespaces: set[str] = field(default_factory=set)  # whether they are there
    emptied: set[str] = field(default_factory=set)  # namespaces to lock, and whether they hold anything
    pending: set[int] = field(default_factory=set)  # run_key: its activities that no worker has
    open_activities: set[int] = field(default_factory=set)  # run_key: how many have no outcome
    signal_counts: set[int] = field(default_factory=set)  # run_key
    schedules: set[tuple[str, str]] = field(default_factory=set)  # (namespace, name)
    schedule_keys: set[int] = field(default_factory=set)
    ticks: set[tuple[int, float, float]] = field(default_factory=set)  # (schedule_key, first, last): all between
    open_runs_of: set[int] = field(default_factory=set)  # schedule_key: which of its runs are open
    schedule_counts: set[str] = field(default_factory=set)  # namespace: how many it has
    keyring: set[str] = field(default_factory=set)  # {KEYRING} = all API keys, locked

    def add(self, other: Needs) -> None:
        """Take in what another needs."""
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))

    def any(self) -> bool:
        """Say whether it names anything."""
        return any(getattr(self, name) for name in self.__slots__)


class BeginAgain(Exception):
    """Roll back and begin again, with these rows as well."""

    def __init__(self, needs: Needs | None = None) -> None:
        super().__init__()
        self.needs = needs or Needs()


class Waited(BeginAgain):
    """A lock was waited for in vain: not to be waited for again where others wait behind."""


class Missing(BeginAgain):
    """A decision asked for a row that nobody named beforehand."""


class Held(Exception):
    """A run or a schedule that the operation wants is locked by somebody else: it must come again."""
