"""Where the crash matrix is made: trials of a case in namespaces of their own, and what must have come of them.

All trials are prepared in step; each hands in its operations while its fault is armed; then the whole
database is read and compared, namespace by namespace, with a trial that met no fault.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from itertools import count
from typing import Any

from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.errors import OutcomeUnknown
from assay_wsgi.domain.errors import Unavailable
from assay_wsgi.domain.tokens import hashed
from assay_wsgi.engine import Engine
from assay_wsgi.jsontext import loads
from assay_wsgi.settings import EngineSettings
from assay_wsgi.store import fsck
from assay_wsgi.store.liveness import Beats
from assay_wsgi.store.store import Store
from assay_wsgi.store.unit import Outcome
from assay_wsgi.store.unit import Submission
from assay_wsgi.store.unit import perform
from tests.conftest import Clock
from tests.engine.crash_steps import NOW
from tests.engine.crash_steps import SAME
from tests.engine.crash_steps import Act
from tests.engine.crash_steps import Case
from tests.engine.crash_steps import Changed
from tests.engine.crash_steps import Look
from tests.engine.crash_steps import start
from tests.engine.faults import DIED
from tests.engine.faults import Fault
from tests.engine.faults import Faults
from tests.engine.faults import Kind
from tests.engine.faults import Life
from tests.engine.faults import Mortals
from tests.engine.faults import When

FIRST_KEY = 7_000_000_000_000  # so long that no other number in a row looks like a key
KEPT = ("meta", "key_blocks", "units")  # no part of what an operation does
Dump = tuple[tuple[str, Any], ...]


@dataclass
class Trial:
    """One fault, and what came of it."""

    namespace: str
    fault: Fault | None
    act: Act = field(default_factory=Act)
    said: list[Any] = field(default_factory=list)
    error: BaseException | None = None  # of the whole, or of the first operation that has no answer
    struck: bool = False
    unwritten: Beats | None = None  # what still waits to be written of who was seen

    def hear(self, outcomes: Sequence[Outcome]) -> None:
        """Keep what is said, in a form that is the same for all trials."""
        self.said = [_said(outcome, self.namespace) for outcome in outcomes]
        self.error = next((outcome.error for outcome in outcomes if _is_trouble(outcome.error)), None)

    def __str__(self) -> str:
        return f"{self.namespace} ({self.fault}): {self.said or self.error!r}"


@dataclass
class Reference:
    """A trial without a fault."""

    before: Dump
    after: Dump
    said: list[Any]
    said_again: list[Any]
    calls: int
    claims: tuple[int, int]


class Laboratory:
    """An engine whose connections fail, and a store that sees what is committed."""

    def __init__(self, url: str, mortals: Mortals) -> None:
        self.url = url
        self.clock = Clock(NOW)
        self.faults = Faults()
        self.store = Store.open(url, clock=self.clock)
        with self.store.administer() as db:
            db.run("UPDATE key_blocks SET next_key = ?", (FIRST_KEY,))
        self.engine = self._open(EngineSettings())
        self._mortals = mortals
        self._writer = self.store.writer()
        self._numbers = count(1)

    @property
    def conflicts_are_met_again(self) -> bool:
        """Whether a conflict lets the engine begin again. SQLite's writers queue: theirs is a stranger's lock."""
        return not self.store.dialect.writers_queue

    def reopen(self, settings: EngineSettings) -> None:
        """Open the engine anew: its writing connection is not open yet."""
        self.engine.close()
        self.engine = self._open(settings)

    def begin(self, settings: EngineSettings | None = None) -> None:
        """Begin a test: with a fresh engine that has written once, on an empty database."""
        self.reopen(settings or EngineSettings())
        self.clock.now = NOW
        self.engine.committer.submit((start("warm", f"warm{next(self._numbers)}"),))
        with self.store.administer() as db:
            for table in _tables(db):
                db.run(f"DELETE FROM {table}" + (" WHERE name <> 'main'" if table == "namespaces" else ""))

    def close(self) -> None:
        """Close everything."""
        self.engine.close()
        self._writer.drop()
        self.store.close()

    def _open(self, settings: EngineSettings) -> Engine:
        engine = Engine.open(self.url, clock=self.clock, wrap=self.faults.wrap, settings=settings)
        engine._wakeups.close()  # nobody waits here, and the watcher would hand in beats while a fault is armed
        return engine

    def trial(self, fault: Fault | None = None) -> Trial:
        """Make a trial in a namespace of its own."""
        return Trial(f"t{next(self._numbers):04d}", fault)

    def prepare(self, case: Case, trials: Sequence[Trial]) -> None:
        """Bring the namespaces of all trials into the case's state, in step."""
        self.clock.now = NOW
        going = {trial.namespace: (trial, case.steps(trial.namespace)) for trial in trials}
        while going:
            submissions, looks, pause = [], [], 0.0
            for namespace, (trial, steps) in list(going.items()):
                try:
                    step = next(steps)
                except StopIteration as ended:
                    trial.act = ended.value
                    del going[namespace]
                else:
                    submissions += [step] if isinstance(step, Submission) else []
                    looks += [step] if isinstance(step, Look) else []
                    pause = step if isinstance(step, float) else pause
            self.clock.advance(pause)
            if submissions:
                perform(self._writer, submissions, self.store.floors, self.store.liveness)
            for look in looks:
                with self.store.read() as db:
                    look.found = db.rows(look.sql, look.params)

    def hand_in(self, trial: Trial) -> None:
        """Hand in, with the trial's fault armed, and keep what is said."""
        self._hand_in(trial, trial.act)
        trial.struck = self.faults.struck > 0
        assert self.faults.in_transaction() == 0, f"{trial}: a transaction is left open"

    def strike(self, case: Case, faults: Sequence[Fault]) -> list[Trial]:
        """Make a trial for each fault, and hand in what the case hands in."""
        trials = [self.trial(fault) for fault in faults]
        self.prepare(case, trials)
        for trial in trials:
            if trial.fault is not None and trial.fault.kind is Kind.DEATH:
                self._let_die(trial, trial.fault)
            else:
                self.hand_in(trial)
        return trials

    def _let_die(self, trial: Trial, fault: Fault) -> None:
        """Have another process hand in, and die of it."""
        act = trial.act
        life = Life(self.url, self.clock.now, fault, act.operations, act.taker, act.beats)
        trial.struck = self._mortals.live(life) == DIED
        trial.error = OutcomeUnknown("nobody lived to tell")

    def hand_in_again(self, *trials: Trial) -> None:
        """Hand in once more, without faults: all in one transaction where nothing is claimed."""
        if any(trial.act.taker or trial.act.beats for trial in trials):
            for trial in trials:
                trial.fault = None
                self._hand_in(trial, trial.act.again())
        else:
            outcomes = iter(self.engine.committer.submit([one for trial in trials for one in trial.act.operations]))
            for trial in trials:
                trial.hear([next(outcomes) for _ in trial.act.operations])
        for trial in trials:
            assert trial.error is None, str(trial)

    def _hand_in(self, trial: Trial, act: Act) -> None:
        trial.act, trial.said, trial.error = act, [], None
        liveness = self.engine.store.liveness
        for beat in act.beats:
            liveness.worker_seen(*beat)  # once in ten seconds at most, so not the second time
            liveness.queue_polled(*beat)
        if trial.unwritten is not None:
            liveness.give_back(trial.unwritten)
        with self.faults.armed(trial.fault):
            try:
                outcomes = self.engine.committer.submit(act.operations, act.taker)
            except Exception as error:  # noqa: BLE001 - it is what the trial is about
                trial.error = error
            else:
                trial.hear(outcomes)
        # Or another trial's unit would take it along.
        trial.unwritten = liveness.take() if liveness.pending else None

    def dumps(self) -> Mapping[str, Dump]:
        """Read the whole database, namespace by namespace, with nothing in it that no two trials share."""
        raw: dict[str, dict[str, list[tuple[Any, ...]]]] = defaultdict(lambda: defaultdict(list))
        with self.store.read() as db:
            tables = _tables(db)
            owner = dict(db.rows("SELECT run_key, namespace FROM workflows"))
            owner.update(db.rows("SELECT schedule_key, namespace FROM workflow_schedules"))
            for table, columns in tables.items():
                for row in db.rows(f"SELECT {', '.join(columns)} FROM {table}"):
                    named = dict(zip(columns, row, strict=True))
                    raw[_namespace_of(table, named, owner)][table].append(_lasting(table, named))
        raw.pop("main", None)
        return {namespace: _normal(namespace, rows) for namespace, rows in raw.items()}

    def assert_sound(self) -> None:
        """The checks of fsck find nothing."""
        assert fsck.check(self.store) == []


def _tables(db: Any) -> dict[str, list[str]]:
    """Give the columns of all tables but those that are no part of what an operation does."""
    if db.dialect.name == "sqlite":
        found = db.rows(
            "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
            "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'"
        )
    else:
        found = db.rows("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
    tables: dict[str, list[str]] = defaultdict(list)
    for table, column in sorted(found):
        if table not in KEPT:
            tables[table].append(column)
    # Runs first: it is they that the keys in other rows point to.
    return dict(sorted(tables.items(), key=lambda item: (item[0] != "workflows", item[0])))


def _namespace_of(table: str, row: Mapping[str, Any], owner: Mapping[int, str]) -> str:
    if table == "namespaces":
        return str(row["name"])
    if table == "api_keys":
        (namespace,) = loads(row["namespaces"])
        return str(namespace)
    if "namespace" in row:
        return str(row["namespace"])
    keys = [row[name] for name in ("schedule_key", "run_key") if name in row]
    if keys:  # the ticks of a schedule that is gone have their runs
        return next(owner[key] for key in keys if key in owner)
    return str(row["scope"])  # of a stored answer; a table that has none of these is to stay empty


def _lasting(table: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Leave out what counts the database's transactions."""
    dropped = {"mark", "feed_mark"} | ({"id"} if table in ("notices", "followups", "audit_log") else set())
    return tuple(value for name, value in row.items() if name not in dropped)


def _normal(namespace: str, tables: Mapping[str, list[tuple[Any, ...]]]) -> Dump:
    """Name keys, tokens and the namespace by where they first appear."""
    names: dict[str, str] = {namespace: "NS"}
    pattern = re.compile(rf"[0-9a-f]{{64}}|assay_[0-9a-f]{{8}}|\b7\d{{12}}\b|{namespace}")
    dump: list[tuple[str, Any]] = []
    for table, rows in tables.items():
        texts = [repr(row) for row in rows]
        texts.sort(key=lambda text: pattern.sub(lambda found: names.get(found.group(), "?"), text))
        for text in texts:
            for found in pattern.findall(text):
                names.setdefault(found, f"<{len(names)}>")
            dump.append((table, pattern.sub(lambda found: names[found.group()], text)))
    return tuple(dump)


def _is_trouble(error: BaseException | None) -> bool:
    """Whether an error says that it was not done, not that it was refused."""
    return error is not None and (not isinstance(error, AssayError) or isinstance(error, Unavailable))


def _said(outcome: Outcome, namespace: str) -> Any:
    if outcome.error is not None:
        return type(outcome.error)
    return re.sub(rf"{namespace}|7\d{{12}}|assay_[0-9a-f]{{8}}", "<>", repr(outcome.answer))


def reference_of(laboratory: Laboratory, case: Case) -> Reference:
    """Run a case without a fault, and again."""
    trial = laboratory.trial()
    laboratory.prepare(case, [trial])
    before = laboratory.dumps().get(trial.namespace, ())
    laboratory.hand_in(trial)
    assert trial.error is None, str(trial)
    calls, said, after = laboratory.faults.calls, trial.said, laboratory.dumps().get(trial.namespace, ())
    claims = claimed(trial.act)
    assert claims == case.claims
    assert [kind for kind in said if isinstance(kind, type)] == list(case.refuses)
    assert after != before

    laboratory.hand_in_again(trial)
    expected = [_expected_again(first, second) for first, second in zip(said, case.again, strict=True)]
    assert [_without_place(text) for text in trial.said] == [_without_place(text) for text in expected]
    assert laboratory.dumps().get(trial.namespace, ()) == after
    return Reference(before, after, said, trial.said, calls, claims)


def _expected_again(first: Any, second: Any) -> Any:
    if isinstance(second, Changed):
        assert second.first in first
        return first.replace(second.first, second.second)
    return first if second is SAME else second if isinstance(second, type) else repr(second)


def _without_place(said: Any) -> Any:
    """A repeated signal names its run and event as well."""
    return re.sub(r"'run_id': '[^']*', 'event_seq': \d+, (?='repeated')", "", said) if isinstance(said, str) else said


def check(laboratory: Laboratory, case: Case, reference: Reference, trials: Sequence[Trial]) -> None:
    """All or nothing, as it was said; and once more brings all to the same end."""
    dumps = laboratory.dumps()
    applied = {}
    for trial in trials:
        found = dumps.get(trial.namespace, ())
        expected = _expected(laboratory, case, reference, trial)
        assert found == expected, f"{trial}\n{_difference(expected, found)}"
        if found == reference.after:
            applied[trial.namespace] = True
        elif found == reference.before:
            applied[trial.namespace] = False
        _check_claims(laboratory, trial)
    laboratory.assert_sound()

    laboratory.hand_in_again(*trials)
    for trial in trials:
        if trial.namespace in applied:
            expected_said = reference.said_again if applied[trial.namespace] else reference.said
            assert trial.said == expected_said, str(trial)
    dumps = laboratory.dumps()
    for trial in trials:
        found = dumps.get(trial.namespace, ())
        if trial.namespace in applied:
            assert found == reference.after, f"{trial}\n{_difference(reference.after, found)}"
    laboratory.assert_sound()


def _expected(laboratory: Laboratory, case: Case, reference: Reference, trial: Trial) -> Dump:
    """Give what the database must hold, by what the caller was told."""
    fault = trial.fault
    if isinstance(trial.error, OutcomeUnknown) and fault is not None:
        committed = fault.call == reference.calls and fault.when is When.AFTER
        return reference.after if committed else reference.before
    if trial.error is None and trial.said:
        assert trial.said == reference.said, str(trial)
        return reference.after
    if trial.error is None and trial.act.taker is not None:
        return reference.after if claimed(trial.act) == reference.claims else reference.before
    if trial.error is None and trial.act.beats:
        return reference.before if trial.unwritten else reference.after
    done = [place for place, said in enumerate(trial.said) if said == reference.said[place]]
    if not done:
        return reference.before
    part = laboratory.trial()
    laboratory.prepare(case, [part])
    part.act = replace(part.act, operations=[part.act.operations[place] for place in done], taker=None)
    laboratory.hand_in(part)
    return laboratory.dumps().get(part.namespace, ())


def claimed(act: Act) -> tuple[int, int]:
    """Count what was handed out: workflow tasks, activities."""
    return (0, 0) if act.taker is None else (len(act.taker.workflows), len(act.taker.activities))


def _check_claims(laboratory: Laboratory, trial: Trial) -> None:
    """What was handed out is leased, with these very tokens; where an error was raised nothing was."""
    taker = trial.act.taker
    if taker is None or (trial.error is not None and not trial.said):
        return
    with laboratory.store.read() as db:
        leased = {
            token
            for table in ("workflow_tasks", "workflow_activities")
            for (token,) in db.rows(f"SELECT token FROM {table} WHERE namespace = ?", (trial.namespace,))
        }
    assert {hashed(claimed.token) for claimed in (*taker.workflows, *taker.activities)} <= leased, str(trial)


def _difference(expected: Dump, found: Dump) -> str:
    missing = [row for row in expected if row not in found]
    more = [row for row in found if row not in expected]
    return f"missing: {missing}\nmore: {more}"
