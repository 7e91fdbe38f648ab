"""Random runs in a database, random filters, and what these must find: a model in Python."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from typing import Any

from assay_wsgi.domain.filters import search_of
from assay_wsgi.domain.model import Run
from assay_wsgi.domain.model import Schedule
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.jsontext import dumps
from assay_wsgi.store import attributes
from assay_wsgi.store import lists
from assay_wsgi.store.mapping import ATTRIBUTES
from assay_wsgi.store.mapping import RUNS
from assay_wsgi.store.mapping import SCHEDULES as SCHEDULE_ROWS
from assay_wsgi.store.mapping import TASKS
from assay_wsgi.store.store import Store
from tests.domain.given import a_ready_task
from tests.domain.given import a_run

MANY = 160
HOSTILE = (
    "x' OR '1'='1",
    "'; DROP TABLE workflows; --",
    '" OR ""="',
    "') OR 1=1 --",
    "1; SELECT pg_sleep(9)",
    "%",
    "_",
    "?",
    "%s",
    "$1",
    ":name",
    "a.b",
    'say "x"',
    "it's",
    "$",
    "a[0]",
    "$.a",
    "ä",
    "日本",
    "\\",
    "\\'",
    "`",
    "a b",
    "--",
    "/*",
    "*/",
    "{}",
    "[",
    "null",
    "\t",
    "\n",
    "😀",
    "\U0010ffff",
    "s",
    "n",
    "NULL",
    "\x7f",
    "ß" * 200,
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    -2.25,
    2**53,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    1e300,
    5e-324,
    "",
    "a",
    "B",
    "b",
    "ab",
    "1",
    "true",
    "é",
    "z" * 127,
    "z" * 128,
    "z" * 129 + "a",
    "z" * 129 + "b",
    "s" * 300,
    *HOSTILE,
)
NAMES = ("env", "n", "a.b", *HOSTILE)
TYPES = ("Order", "Refund", "order", "O'Neill")
REASONS = {"COMPLETED": "completed", "FAILED": "terminated", "CANCELLED": "cancelled", "TIMED_OUT": "timed_out"}
SIGNAL, TIMER = '[{"kind":"signal","name":"go","since":1.0}]', '[{"kind":"timer","name":"1","since":1.0}]'
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

SCHEDULES = {1: "nightly", 2: "Night's"}  # key -> name; the third is gone
UNORDERED = ("Status", "CloseReason", "Paused", "CancelRequested", "TaskFailing")

Row = dict[str, Any]


# ------------------------------------------------------------------------------------------- the runs


def a_random_run(chance: random.Random, key: int, parents: list[Run]) -> tuple[Run, Row]:
    """Make a run, and what the model knows of it by the names that a filter uses."""
    status = chance.choice(("PENDING", "RUNNING", "RUNNING", *REASONS))
    began = 1.7e9 + chance.choice((0.0, 0.5, 1.0)) + key // 3
    ended = began + chance.choice((0.0, 1.5, 90.0)) if status in REASONS else None
    parent = chance.choice(parents) if parents and chance.random() < 0.3 else None
    waiting = chance.choice((SIGNAL, TIMER, None)) if status == "RUNNING" else None
    named = {chance.choice(NAMES): chance.choice(VALUES) for _ in range(chance.randrange(4))}
    workflow_id = chance.choice((f"order-{key}", f"Order-{key}", f"ö-{key}", f"{key}' --"))
    run = a_run(
        run_key=key,
        workflow_id=workflow_id,
        run_id=f"run-{workflow_id}-{key}",
        first_run_id=f"run-{workflow_id}-{key}",
        first_run_key=key,
        workflow_type=chance.choice(TYPES),
        task_queue=chance.choice(("q", "Q", "other")),
        status=status,
        close_reason=REASONS.get(status),
        created_at=began,
        updated_at=began,
        completed_at=ended,
        waiting_for=waiting,
        last_seq=chance.randrange(1, 5),
        search_attributes=dumps(named) if named else None,
        paused=chance.choice((None, None, '{"by":"x"}')),
        task_failure=chance.choice((None, None, "{}")),
        cancel_requested_at=chance.choice((None, began)),
        parent_key=None if parent is None else parent.run_key,
        parent_chain_key=None if parent is None else parent.first_run_key,
    )
    schedule = chance.choice((None, 1, 2, 3))
    return run._replace(schedule_key=schedule), {
        "WorkflowId": workflow_id,
        "RunId": run.run_id,
        "WorkflowType": run.workflow_type,
        "Status": status,
        "CloseReason": run.close_reason,
        "TaskQueue": run.task_queue,
        "StartTime": began,
        "CloseTime": ended,
        "ExecutionDuration": None if ended is None else ended - began,
        "HistoryLength": run.last_seq,
        "ParentId": None if parent is None else parent.workflow_id,
        "FirstRunId": run.first_run_id,
        "ScheduleId": SCHEDULES.get(schedule),
        "ClaimedBy": None,
        "Paused": run.paused is not None,
        "CancelRequested": run.cancel_requested_at is not None,
        "TaskFailing": run.task_failure is not None,
        "attributes": named,
        "key": key,
        "parked": waiting == SIGNAL,
    }


def a_schedule(key: int, name: str) -> Schedule:
    """Make a schedule that is not due."""
    told: dict[str, Any] = {
        **dict.fromkeys(Schedule._fields), "schedule_key": key, "namespace": "main", "name": name, "task_queue": "q",
        "workflow_type": "Order", "cron_expr": "@daily", "timezone": "UTC", "overlap_policy": "skip", "paused": False,
        "catchup_window_secs": 60.0, "buffered": 0, "runs_started": 0, "ticks_skipped": 0, "ticks_missed": 0,
        "created_at": 1.7e9, "updated_at": 1.7e9,
    }  # fmt: skip
    return Schedule(**told)


class Runs:
    """A database of random runs and the model of it."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.chance = random.Random(seed)
        self.rows: list[Row] = []
        runs: list[Run] = []
        tasks = []
        for key in range(1, MANY + 1):
            run, row = a_random_run(self.chance, key, runs)
            if run.status == "RUNNING" and self.chance.random() < 0.3:
                row["ClaimedBy"] = self.chance.choice(("ann", "Bob"))
                tasks.append(a_ready_task(run_key=key, token=f"h{key}", owner=row["ClaimedBy"], deadline_at=9e9))
            runs.append(run)
            self.rows.append(row)
        foreign = a_run(
            run_key=MANY + 1,
            namespace="shop",
            workflow_id="order-1",
            run_id=f"run-order-1-{MANY + 1}",
            search_attributes='{"env":"a"}',
        )
        with store.administer() as db:
            for table, new in (
                (SCHEDULE_ROWS, [a_schedule(*one) for one in SCHEDULES.items()]),
                (RUNS, [*runs, foreign]),
                (TASKS, tasks),
                (ATTRIBUTES, [row for run in (*runs, foreign) for row in attributes.rows_of(run)]),
            ):
                assert db.dialect.insert(db, table, new) == len(new)

    def found(self, **wanted: Any) -> list[int]:
        """Give the keys that a list finds, page by page."""
        keys: list[int] = []
        cursor = None
        while True:
            search = search_of(ListFilter(**{"limit": 1000, **wanted, "cursor": cursor}))
            with self.store.search() as db:
                seen, cursor = lists.workflows(db, search)
            keys += [one.run.run_key for one in seen]
            if cursor is None:
                return keys

    def count(self, **wanted: Any) -> int:
        """Count what a list finds."""
        with self.store.search() as db:
            return lists.count(db, search_of(ListFilter(**wanted)))

    def groups(self, by: str, **wanted: Any) -> dict[str | None, int]:
        """Count what a list finds, by group."""
        with self.store.search() as db:
            found, truncated = lists.groups(db, search_of(ListFilter(**wanted)), by)
        assert not truncated
        assert [rows for _, rows in found] == sorted((rows for _, rows in found), reverse=True)
        return dict(found)

    def expected(self, holds: Callable[[Row], bool]) -> list[int]:
        """Give the keys that the model finds, newest first."""
        fitting = [row for row in self.rows if holds(row)]
        return [row["key"] for row in sorted(fitting, key=lambda row: (row["StartTime"], row["key"]), reverse=True)]


# ------------------------------------------------------------------------------------------- the model


def value_of(row: Row, name: str, *, own: bool) -> Any:
    """Give what a run has; None = it does not have it."""
    return row[name] if own else row["attributes"].get(name)


def alike(one: Any, other: Any) -> bool:
    """Whether two values are of kinds that are compared."""
    kinds = [bool if isinstance(value, bool) else str if isinstance(value, str) else float for value in (one, other)]
    return kinds[0] is kinds[1]


def compares(row: Row, name: str, sign: str, value: Any, *, own: bool) -> bool:
    has = value_of(row, name, own=own)
    if own and name == "Status" and value == "WAITING":
        return bool(row["parked"])
    return has is not None and alike(has, value) and SIGNS[sign](has, value)


def literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "FALSE"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


class Asked:
    """A random filter: its text, and whether a run fits."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._chance = runs.chance

    def condition(self, depth: int = 0) -> tuple[str, Callable[[Row], bool]]:
        kind = self._chance.random()
        if depth > 3 or kind < 0.5:
            return self.test()
        if kind < 0.65:
            text, holds = self.condition(depth + 1)
            return f"NOT ({text})", lambda row: not holds(row)
        word = self._chance.choice(("AND", "OR", "and"))
        one, other = self.condition(depth + 1), self.condition(depth + 1)
        if word == "OR":
            return f"({one[0]} OR {other[0]})", lambda row: one[1](row) or other[1](row)
        return f"({one[0]}) {word} ({other[0]})", lambda row: one[1](row) and other[1](row)

    def test(self) -> tuple[str, Callable[[Row], bool]]:
        own = self._chance.random() < 0.6
        name = self._chance.choice([name for name in self._runs.rows[0] if name[0].isupper()] if own else NAMES)
        written = (
            name
            if own
            else self._chance.choice(("`" + name.replace("`", "``") + "`", '"' + name.replace('"', '""') + '"'))
        )
        unordered = own and name in UNORDERED
        how = self._chance.choice(("=", "in", "has") if unordered else ("=", "<", "between", "in", "starts", "has"))
        if how == "has":
            turned = self._chance.random() < 0.5
            text = f"{written} IS {'NOT ' if turned else ''}NULL"
            return text, lambda row: (value_of(row, name, own=own) is not None) is turned
        if how == "starts" and (not own or name in ("WorkflowId", "RunId", "WorkflowType", "ParentId", "TaskQueue")):
            begin = str(self.value(name, own=own))[: self._chance.randrange(4)]
            return self.maybe_not(
                name,
                own,
                written,
                f"STARTS_WITH {literal(begin)}",
                lambda has: isinstance(has, str) and has.startswith(begin),
            )
        if how == "in":
            values = [self.value(name, own=own) for _ in range(self._chance.randrange(1, 4))]
            listed = ", ".join(map(literal, values))
            return self.maybe_not(
                name,
                own,
                written,
                f"IN ({listed})",
                None,
                lambda row: any(compares(row, name, "=", one, own=own) for one in values),
            )
        if how == "between":
            low, high = self.value(name, own=own), self.value(name, own=own)
            return self.maybe_not(
                name,
                own,
                written,
                f"BETWEEN {literal(low)} AND {literal(high)}",
                None,
                lambda row: compares(row, name, ">=", low, own=own) and compares(row, name, "<=", high, own=own),
            )
        value = self.value(name, own=own)
        sign = self._chance.choice(("=", "!=") if unordered or how == "=" else ("<", "<=", ">", ">="))
        if sign == "!=":
            return (
                f"{written} != {literal(value)}",
                lambda row: value_of(row, name, own=own) is not None and not compares(row, name, "=", value, own=own),
            )
        return f"{written} {sign} {literal(value)}", lambda row: compares(row, name, sign, value, own=own)

    def maybe_not(
        self,
        name: str,
        own: bool,
        written: str,
        text: str,
        fits: Callable[[Any], bool] | None,
        holds: Callable[[Row], bool] | None = None,
    ) -> tuple[str, Callable[[Row], bool]]:
        inner = holds or (lambda row: fits is not None and fits(value_of(row, name, own=own)))
        if self._chance.random() < 0.7:
            return f"{written} {text}", inner
        return f"{written} NOT {text}", lambda row: value_of(row, name, own=own) is not None and not inner(row)

    def value(self, name: str, *, own: bool) -> Any:
        """Take a value that some run has, or for an attribute any."""
        if not own and self._chance.random() < 0.3:
            found = self._chance.choice(VALUES)
        elif own and name == "Status" and self._chance.random() < 0.2:
            found = "WAITING"
        else:
            having = [value for row in self._runs.rows if (value := value_of(row, name, own=own)) is not None]
            found = self._chance.choice(having) if having else "x"
        return "x" if found is None else found
