"""The identity map of one unit of work: the rows it loaded, and those rows as its operations left them.

A Change is taken whole. So the second operation of a batch sees what the first one wrote, and a refusal
touches nobody. What is written to the database in the end is the last state of each row.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from ..domain.change import Change
from ..domain.model import Activity
from ..domain.model import ApiKey
from ..domain.model import Attempt
from ..domain.model import Deed
from ..domain.model import Event
from ..domain.model import Followup
from ..domain.model import Notice
from ..domain.model import Run
from ..domain.model import Signal
from ..domain.model import Snapshot
from ..domain.model import StoredAnswer
from ..domain.model import Task
from ..domain.model import Timer
from ..domain.model import Worker
from ..domain.requests import MAIN
from .needs import KEYRING
from .needs import Held
from .needs import Missing
from .needs import Needs
from .schedules import ScheduleRows

CHILD_ENDS = ("ChildWorkflowCompleted", "ChildWorkflowFailed")


class Named(NamedTuple):
    """What the search for a name found."""

    run_key: int | None


class CarriedSignal(NamedTuple):
    """A signal as the history holds it."""

    seq: int
    name: str
    payload: str | None  # of its event
    signal_id: str | None


class Contents(NamedTuple):
    """What a namespace holds that would be lost with it."""

    runs: bool
    schedules: bool


class Rows:
    """The rows of one unit."""

    def __init__(self, new_key: Callable[[], int]) -> None:
        self.new_key = new_key
        # as loaded, then as changed
        self.named: dict[tuple[str, str], Named] = {}
        self.moment: tuple[float, int] | None = None  # the database's clock and the transaction's mark, if read
        self.wanted_runs: set[int] = set()  # what the unit tried to lock
        self.absent: set[int] = set()  # keys of runs that do not exist
        self.runs: dict[int, Run] = {}
        self.tasks: dict[int, Task] = {}
        self.activity_runs: dict[int, int | None] = {}
        self.activities: dict[int, Activity] = {}
        self.by_seq: dict[tuple[int, int], Activity | None] = {}
        self.chains: dict[int, int] = {}  # first run_key -> newest run_key
        self.timers: dict[tuple[int, int], Timer | None] = {}
        self.carried: dict[tuple[int, int], list[CarriedSignal]] = {}
        self.child_ends: dict[tuple[int, int], bool] = {}
        self.polls: dict[tuple[str, str], float | None] = {}
        self.open_child_counts: dict[int, int] = {}
        self.recorded: dict[tuple[int, str, int], str | None] = {}
        self.snapshots: dict[int, str | None] = {}
        self.signal_ids: dict[tuple[int, str], int] = {}
        self.unread: dict[tuple[int, int], list[tuple[int, str]]] = {}
        self.answers: dict[tuple[str, str], StoredAnswer | None] = {}
        self.workers: dict[tuple[str, str], Worker | None] = {}
        self.namespaces: dict[str, bool] = {}  # whether it is there
        self.emptied: dict[str, Contents | None] = {}  # locked; None = not there
        self.held_namespaces: set[str] = set()
        self.pending: set[int] = set()  # runs whose activities that no worker has are all loaded
        self.open_activity_counts: dict[int, int] = {}
        self.signal_counts: dict[int, int] = {}
        self.schedules = ScheduleRows(self)
        self.api_keys: dict[str, ApiKey] | None = None  # by hash, all there are; None = not loaded
        self.key_was_made = False  # ever
        self.keyring_is_held = False
        # what is to be written
        self.new_namespaces: dict[str, float] = {}
        self.created_namespaces: dict[str, float] = {}
        self.dropped_namespaces: set[str] = set()
        self.dropped_runs: set[int] = set()
        self.new_runs: set[int] = set()
        self.changed_runs: set[int] = set()
        self.attributes_before: dict[int, str | None] = {}  # of runs whose search attributes were changed
        self.closed: list[int] = []
        self.events: list[Event] = []
        self.new_activities: set[int] = set()
        self.changed_activities: set[int] = set()
        self.new_timers: set[tuple[int, int]] = set()
        self.changed_timers: set[tuple[int, int]] = set()
        self.followups: list[Followup] = []
        self.done_followups: set[int] = set()
        self.attempts: list[Attempt] = []
        self.signals: list[Signal] = []
        self.new_snapshots: dict[int, Snapshot] = {}
        self.changed_tasks: set[int] = set()
        self.tasks_in_database: set[int] = set()
        self.notices: list[Notice] = []
        self.new_answers: list[StoredAnswer] = []
        self.changed_workers: set[tuple[str, str]] = set()
        self.changed_keys: set[str] = set()
        self.deeds: list[Deed] = []

    # ------------------------------------------------------------------------------ what decisions ask

    def run(self, run_key: int) -> Run | None:
        """Give a run by key, or None where there is none. Raises Held, Missing."""
        found = self.runs.get(run_key)
        if found is not None or run_key in self.absent:
            return found
        if run_key in self.wanted_runs:
            raise Held
        raise Missing(Needs(runs={run_key}))

    def all_runs(self, run_keys: Sequence[int]) -> list[tuple[Run, Task | None]]:
        """Give runs by key with their tasks. Raises Held, Missing for all that it lacks."""
        lacking = set(run_keys) - self.runs.keys() - self.absent - self.wanted_runs
        if lacking:
            raise Missing(Needs(runs=lacking))
        found = [run for key in run_keys if (run := self.run(key)) is not None]
        return [(run, self.task(run.run_key)) for run in found]

    def untouched_run(self, run_key: int) -> Run | None:
        """Give a run that this unit has not written so far, or None where there is none. Raises Held, Missing."""
        if run_key in self.changed_runs or run_key in self.new_runs:
            raise Held  # it comes again in another unit
        return self.run(run_key)

    def newest(self, namespace: str, workflow_id: str) -> Run | None:
        """Give the newest run of an id, or None. Raises Held, Missing."""
        name = (namespace, workflow_id)
        if name not in self.named:
            raise Missing(Needs(names={name}))
        run_key = self.named[name].run_key
        return None if run_key is None else self.run(run_key)

    def newest_of_each(self, namespace: str, workflow_ids: Sequence[str]) -> list[Run | None]:
        """Give the newest run of each id. Raises Held, Missing for all that it lacks."""
        lacking = {(namespace, workflow_id) for workflow_id in workflow_ids} - self.named.keys()
        if lacking:
            raise Missing(Needs(names=lacking))
        return [self.newest(namespace, workflow_id) for workflow_id in workflow_ids]

    def parent_of(self, run: Run) -> tuple[Run, Task | None] | None:
        """Give the newest run of the chain that started this one, with its task. Raises Held, Missing."""
        return None if run.parent_chain_key is None else self.newest_of(run.parent_chain_key)

    def newest_of(self, chain: int) -> tuple[Run, Task | None] | None:
        """Give the newest run of a chain, by the key of its first, with its task. Raises Held, Missing."""
        if chain not in self.chains:
            raise Missing(Needs(chains={chain}))
        newest = self.run(self.chains[chain])
        return None if newest is None else (newest, self.task(newest.run_key))

    def named_run(self, namespace: str, workflow_id: str) -> tuple[Run, Task | None] | None:
        """Give the newest run of an id with its task. Raises Held, Missing."""
        found = self.newest(namespace, workflow_id)
        return None if found is None else (found, self.task(found.run_key))

    def timer(self, run_key: int, seq: int) -> Timer | None:
        """Give a timer, or None. Raises Missing."""
        if (run_key, seq) not in self.timers:
            raise Missing(Needs(timers={(run_key, seq)}))
        return self.timers[run_key, seq]

    def signals_from(self, run_key: int, seq: int) -> list[CarriedSignal]:
        """Give the signals from an event on, with their payloads. Raises Missing."""
        if (run_key, seq) not in self.carried:
            raise Missing(Needs(carried={(run_key, seq)}))
        ids = {(signal.run_key, signal.event_seq): signal for signal in self.signals}
        new = [
            CarriedSignal(event.seq, signal.name, event.payload, signal.signal_id)
            for event in self.events
            if event.run_key == run_key and event.seq >= seq and (signal := ids.get((run_key, event.seq))) is not None
        ]
        return [*self.carried[run_key, seq], *new]

    def child_ended(self, run_key: int, after: int) -> bool:
        """Say whether a run has heard of a child's end after an event. Raises Missing."""
        if (run_key, after) not in self.child_ends:
            raise Missing(Needs(child_ends={(run_key, after)}))
        return self.child_ends[run_key, after] or any(
            event.run_key == run_key and event.seq > after and event.event_type in CHILD_ENDS for event in self.events
        )

    def last_poll(self, namespace: str, queue: str) -> float | None:
        """Say when somebody last asked for work of a queue, or None. Raises Missing."""
        if (namespace, queue) not in self.polls:
            raise Missing(Needs(polls={(namespace, queue)}))
        return self.polls[namespace, queue]

    def open_children(self, chain: int) -> int:
        """Count the open children of a chain. Raises Missing."""
        if chain not in self.open_child_counts:
            raise Missing(Needs(open_children={chain}))
        of_chain = [run for key in self.new_runs | self.changed_runs if (run := self.runs.get(key)) is not None]
        of_chain = [run for run in of_chain if run.parent_chain_key == chain]
        opened = sum(not run.closed for run in of_chain if run.run_key in self.new_runs)
        ended = sum(run.closed for run in of_chain if run.run_key in self.changed_runs)
        return self.open_child_counts[chain] + opened - ended

    def task(self, run_key: int) -> Task | None:
        """Give the task row of a locked run, or None."""
        return self.tasks.get(run_key)

    def activity(self, activity_key: int) -> Activity | None:
        """Give an activity by key, or None. Raises Held, Missing."""
        found = self.activities.get(activity_key)
        if found is not None:
            return found
        if activity_key not in self.activity_runs:
            raise Missing(Needs(activities={activity_key}))
        run_key = self.activity_runs[activity_key]
        if run_key is not None and self.run(run_key) is not None:
            raise Missing(Needs(activities={activity_key}))
        return None

    def activity_at(self, run_key: int, seq: int) -> Activity | None:
        """Give the activity with this seq, or None. Raises Missing."""
        if (run_key, seq) not in self.by_seq:
            raise Missing(Needs(seqs={(run_key, seq)}))
        return self.by_seq[run_key, seq]

    def recorded_payload(self, run_key: int, event_type: str, ref_seq: int) -> str | None:
        """Give the payload of the event of this type about this seq, or None. Raises Missing."""
        key = (run_key, event_type, ref_seq)
        if key not in self.recorded:
            raise Missing(Needs(recorded={key}))
        return self.recorded[key]

    def snapshot(self, run_key: int) -> str | None:
        """Give the stored state of a run, or None. Raises Missing."""
        if run_key not in self.snapshots:
            raise Missing(Needs(snapshots={run_key}))
        return self.snapshots[run_key]

    def unread_signals(self, run_key: int, after: int) -> list[tuple[int, str]]:
        """Give (seq, name) of the signals after an event, in their order. Raises Missing."""
        if (run_key, after) not in self.unread:
            raise Missing(Needs(unread={(run_key, after)}))
        later = [(signal.event_seq, signal.name) for signal in self.signals if signal.run_key == run_key]
        return sorted({*self.unread[run_key, after], *later})

    def signal_event(self, run_key: int, signal_id: str | None) -> int | None:
        """Give the seq of the event that a signal id made in a run or the one that it continues, or None."""
        if signal_id is None:
            return None
        found = self.signal_ids.get((run_key, signal_id))
        if found is None and run_key in self.new_runs and (before := self.runs[run_key].continued_from) is not None:
            found = self.signal_ids.get((int(before.rpartition("-")[2]), signal_id))
        return found

    def signal_count(self, run_key: int) -> int:
        """Count the signals that a run has had. Raises Missing."""
        if run_key not in self.signal_counts:
            raise Missing(Needs(signal_counts={run_key}))
        return self.signal_counts[run_key] + sum(signal.run_key == run_key for signal in self.signals)

    def pending_activities(self, run_key: int) -> list[Activity]:
        """Give the activities of a run that wait for a worker, or for their next attempt. Raises Missing."""
        if run_key not in self.pending:
            raise Missing(Needs(pending={run_key}))
        return [one for one in self.activities.values() if one.run_key == run_key and one.status == "PENDING"]

    def open_activities(self, run_key: int) -> int:
        """Count the activities of a run that have no outcome. Raises Missing."""
        if run_key not in self.open_activity_counts:
            raise Missing(Needs(open_activities={run_key}))
        written = [self.activities[key] for key in self.new_activities | self.changed_activities]
        written = [activity for activity in written if activity.run_key == run_key]
        opened = sum(one.completed_at is None for one in written if one.activity_key in self.new_activities)
        ended = sum(one.completed_at is not None for one in written if one.activity_key in self.changed_activities)
        return self.open_activity_counts[run_key] + opened - ended

    def answer(self, scope: str, key: str) -> StoredAnswer | None:
        """Give the stored answer of an Idempotency-Key, or None. Raises Missing."""
        if (scope, key) not in self.answers:
            raise Missing(Needs(answers={(scope, key)}))
        return self.answers[scope, key]

    def worker(self, namespace: str, worker_id: str) -> Worker | None:
        """Give a worker, or None. Raises Missing."""
        if (namespace, worker_id) not in self.workers:
            raise Missing(Needs(workers={(namespace, worker_id)}))
        return self.workers[namespace, worker_id]

    def has_namespace(self, name: str) -> bool:
        """Say whether a namespace is there. Raises Missing."""
        if name in self.new_namespaces or name in self.created_namespaces:
            return True
        if name not in self.namespaces:
            raise Missing(Needs(namespaces={name}))
        return self.namespaces[name] and name not in self.dropped_namespaces

    def held_by_namespace(self, name: str) -> Contents | None:
        """Say what a namespace holds, and keep it so until the commit; None where it is not there.

        Raises Held, Missing.
        """
        if name in self.held_namespaces:
            raise Held
        if name not in self.emptied:
            raise Missing(Needs(emptied={name}))
        found = self.emptied[name]
        made = name in self.new_namespaces or name in self.created_namespaces
        if (found is None or name in self.dropped_namespaces) and not made:
            return None
        runs = found is not None and found.runs
        new = any(self.runs[key].namespace == name for key in self.new_runs if key in self.runs)
        schedules = (found is not None and found.schedules) or self.schedules.new_in(name)
        return Contents(runs=runs or new, schedules=schedules)

    def keyring(self) -> tuple[list[ApiKey], bool]:
        """Give all API keys, the oldest first, and whether one was ever made. Raises Held, Missing."""
        if self.keyring_is_held:
            raise Held
        if self.api_keys is None:
            raise Missing(Needs(keyring={KEYRING}))
        return sorted(self.api_keys.values(), key=lambda key: key.created_at), self.key_was_made

    # ------------------------------------------------------------------------------ taking a Change

    def take(self, change: Change, now: float) -> None:
        """Take a Change whole."""
        for namespace in change.new_namespaces:
            if namespace != MAIN:  # always there
                self.new_namespaces.setdefault(namespace, now)
        self.created_namespaces.update(dict.fromkeys(change.created_namespaces, now))
        for namespace in change.dropped_namespaces:
            self.dropped_namespaces.add(namespace)
            self.new_namespaces.pop(namespace, None)
            self.created_namespaces.pop(namespace, None)
            self._retire_workers(namespace, now)
        for worker in change.workers:
            self.workers[worker.namespace, worker.worker_id] = worker
            self.changed_workers.add((worker.namespace, worker.worker_id))
        for run in change.runs:
            before = self.runs.get(run.run_key)
            self.runs[run.run_key] = run
            if run.run_key not in self.new_runs:
                self.changed_runs.add(run.run_key)
                if before is not None and before.search_attributes != run.search_attributes:
                    self.attributes_before.setdefault(run.run_key, before.search_attributes)
        for run in change.new_runs:
            self.runs[run.run_key] = run
            self.new_runs.add(run.run_key)
            self.named[run.namespace, run.workflow_id] = Named(run.run_key)
            if run.continued_from is not None:
                self.chains[run.first_run_key] = run.run_key
        for activity in change.new_activities:
            self._put_activity(activity)
            self.new_activities.add(activity.activity_key)
        for activity in change.activities:
            self._put_activity(activity)
            if activity.activity_key not in self.new_activities:
                self.changed_activities.add(activity.activity_key)
        for task in change.tasks:
            self.tasks[task.run_key] = task
            self.changed_tasks.add(task.run_key)
        for run_key in change.dropped_tasks:
            self.tasks.pop(run_key, None)
            self.changed_tasks.add(run_key)
        for timer in change.timers:
            key = (timer.run_key, timer.seq)
            if self.timers.get(key) is None:
                self.new_timers.add(key)
            elif key not in self.new_timers:
                self.changed_timers.add(key)
            self.timers[key] = timer
        for signal in change.signals:
            self.signals.append(signal)
            if signal.signal_id is not None:
                self.signal_ids[signal.run_key, signal.signal_id] = signal.event_seq
        for snapshot in change.snapshots:
            self.snapshots[snapshot.run_key] = snapshot.state
            self.new_snapshots[snapshot.run_key] = snapshot
        for answer in change.stored_answers:
            self.answers[answer.scope, answer.key] = answer
            self.new_answers.append(answer)
        for event in change.events:
            if event.ref_seq is not None:
                self.recorded[event.run_key, event.event_type, event.ref_seq] = event.payload
        self.events.extend(change.events)
        self.attempts.extend(change.attempts)
        self.notices.extend(change.notices)
        self.followups.extend(change.followups)
        self.done_followups.update(change.done_followups)
        self.closed.extend(change.closed)
        self.deeds.extend(change.deeds)
        if change.api_keys and self.api_keys is not None:
            self.api_keys.update({key.key_hash: key for key in change.api_keys})
            self.changed_keys.update(key.key_hash for key in change.api_keys)
            self.key_was_made = True
        for run_key in change.dropped_runs:
            self._drop(run_key)
        self.schedules.take(change)

    def _retire_workers(self, namespace: str, now: float) -> None:
        """Retire whom this unit registered in a namespace that goes; the others are retired where they stand."""
        for key in self.changed_workers:
            worker = self.workers[key]
            if worker is not None and worker.namespace == namespace and worker.retired_at is None:
                self.workers[key] = worker._replace(retired_at=now)

    def _drop(self, run_key: int) -> None:
        """Forget a run: whoever names it in this unit finds nothing, and what was written of it goes with it."""
        self.dropped_runs.add(run_key)
        self.absent.add(run_key)
        self.runs.pop(run_key, None)
        self.tasks.pop(run_key, None)
        for name in [name for name, named in self.named.items() if named.run_key == run_key]:
            del self.named[name]

    def _put_activity(self, activity: Activity) -> None:
        self.activities[activity.activity_key] = activity
        self.activity_runs[activity.activity_key] = activity.run_key
        self.by_seq[activity.run_key, activity.seq] = activity

    # ------------------------------------------------------------------------------ what it leaves ready

    def ready(self, now: float) -> dict[tuple[str, str, str], int]:
        """Count the work that is ready now, by (kind, namespace, queue)."""
        counts: dict[tuple[str, str, str], int] = {}
        for run_key in self.changed_tasks:
            task = self.tasks.get(run_key)
            if task is not None and task.token is None and not task.paused and task.ready_at <= now:
                key = ("workflow", task.namespace, task.task_queue)
                counts[key] = counts.get(key, 0) + 1
        for activity_key in self.new_activities | self.changed_activities:
            activity = self.activities[activity_key]
            if activity.status == "PENDING" and activity.visible_at <= now:
                key = ("activity", activity.namespace, activity.task_queue)
                counts[key] = counts.get(key, 0) + 1
        return counts

    def soonest_deadline(self) -> float | None:
        """Give the earliest deadline that this unit wrote: the sidecar may have to wake before it planned to."""
        deadlines: list[Any] = [self.tasks[key].deadline_at for key in self.changed_tasks if key in self.tasks]
        deadlines += self.schedules.deadlines()
        deadlines += [self.activities[key].deadline_at for key in self.changed_activities | self.new_activities]
        for run in [self.runs[key] for key in self.changed_runs | self.new_runs if key in self.runs]:
            deadlines.append(run.deadline_at)
            if run.closed and run.schedule_key is not None:
                deadlines.append(run.completed_at)  # a tick may wait for its end
        deadlines += [timer.fire_at for key in self.new_timers if (timer := self.timers[key]) is not None]
        deadlines += [followup.due_at for followup in self.followups]
        return min((moment for moment in deadlines if moment is not None), default=None)
