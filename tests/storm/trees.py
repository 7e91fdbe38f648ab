"""Trees of runs whose root is cancelled, terminated or timed out while sidecars and workers are killed.

In the end nobody is open below a closed parent unless he was abandoned, every run has ended as its parent's end
asks for, no parent waits for ever, and each outcome was told once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass

from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import StartRun
from assay_wsgi.engine import Engine
from assay_wsgi.jsontext import dumps
from assay_wsgi.jsontext import loads
from bench.databases import Reader
from bench.processes import Child
from bench.processes import fsck
from tests.processes import until

from . import family
from .family import Member
from .scene import Blows
from .scene import Found
from .scene import Pack
from .scene import Site
from .scene import looking
from .scene import sidecars

SIDECARS = 2
WORKERS = 2
IS_OPEN = "status IN ('PENDING', 'RUNNING')"


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A tree, and how its root ends."""

    root: Member
    reason: str  # cancelled | terminated | timed_out

    @property
    def id(self) -> str:
        """The root's id."""
        return str(self.root["id"])


def trees(site: Site, *, width: int, timeout_secs: float) -> Found:
    """Grow four trees, end their roots, and look at what is left. `timeout_secs`: of the one that is timed out."""
    found = Found(title=f"4 trees, {width} children each, 3 deep")
    grown = [
        Tree(root=family.tree("timed-out", width, patient=False), reason="timed_out"),
        Tree(root=family.tree("cancelled", width, patient=False), reason="cancelled"),
        Tree(root=family.tree("cancelled-patiently", width, patient=True), reason="cancelled"),
        Tree(root=family.tree("terminated", width, patient=False), reason="terminated"),
    ]
    members = [member["id"] for tree in grown for member in family.everybody(tree.root)]
    with (
        closing(Engine.open(site.url)) as engine,
        looking(site) as reader,
        sidecars(site, reader, SIDECARS) as pack,
        players(site) as workers,
        Blows([pack, workers], site) as blows,
    ):
        for tree in grown:
            _start(engine, tree, timeout_secs)
        until(lambda: _grown(reader, len(members)) or _closed(reader, "timed-out"))
        in_time = not _closed(reader, "timed-out")
        until(lambda: _grown(reader, len(members)) or not in_time)
        for tree in grown[1:]:
            _end(engine, tree)
        blows.strike_leader(pack)
        until(lambda: all(_closed(reader, tree.id) for tree in grown) and _quiet(reader))
        for tree in grown if in_time else ():
            found.faults += _compare(reader, tree)
        found.faults += _judge(reader)
        left = _finish(engine, reader)
        found.faults += _judge(reader)
        found.kills = blows.kills
        found.figures = {
            "runs": str(reader.one("SELECT count(*) FROM workflows")),
            "abandoned": str(left),
            "told": str(reader.one(f"SELECT count(*) FROM workflow_events WHERE {OUTCOME}")),
            **({} if in_time else {"(one timed out before it had grown)": ""}),
        }
    dirty = fsck(site.ground, site.url)
    found.faults += [f"fsck: {dirty}"] if dirty else []
    return found


@contextmanager
def players(site: Site) -> Iterator[Pack]:
    """Run the families' workers for as long as the block lasts."""

    def start(name: str) -> Child:
        return site.start(name, "-m", "tests.storm.player", "--backend", site.url, "--worker-id", name)

    pack = Pack("worker", WORKERS, start)
    try:
        yield pack
    finally:
        pack.stop()


# -------------------------------------------------------------------------------------------- growing and ending


def _start(engine: Engine, tree: Tree, timeout_secs: float) -> None:
    timeout = timeout_secs if tree.reason == "timed_out" else None
    engine.workflows.start(
        StartRun(
            workflow_type=family.TYPE, workflow_id=tree.id, task_queue=family.QUEUE, input=dumps(tree.root),
            run_timeout_secs=timeout,
        )
    )  # fmt: skip


def _end(engine: Engine, tree: Tree) -> None:
    root = RunRef(workflow_id=tree.id)
    if tree.reason == "cancelled":
        engine.workflows.cancel(root)
    else:
        engine.workflows.terminate(root)


def _finish(engine: Engine, reader: Reader) -> int:
    """Tell everybody who is still open to finish, and wait until all have. Gives how many there were."""
    left = reader.rows(f"SELECT workflow_id FROM workflows WHERE {IS_OPEN}")
    for (workflow_id,) in left:
        with suppress(WorkflowClosed):  # a parent's end was faster
            engine.workflows.signal(RunRef(workflow_id=workflow_id), family.FINISH)
    until(lambda: not reader.one(f"SELECT count(*) FROM workflows WHERE {IS_OPEN}") and _quiet(reader))
    return len(left)


def _grown(reader: Reader, number: int) -> bool:
    """All runs are there and wait."""
    return bool(reader.one("SELECT count(*) FROM workflows WHERE status = 'RUNNING'") == number) and not _tasks(reader)


def _quiet(reader: Reader) -> bool:
    """Nothing is left to be done by anybody."""
    return not _tasks(reader) and not reader.one("SELECT count(*) FROM followups")


def _tasks(reader: Reader) -> int:
    return int(reader.one("SELECT count(*) FROM workflow_tasks"))


def _closed(reader: Reader, workflow_id: str) -> bool:
    return bool(reader.one(f"SELECT count(*) FROM workflows WHERE workflow_id = ? AND NOT {IS_OPEN}", (workflow_id,)))


# --------------------------------------------------------------------------------------------------- judging

OUTCOME = "event_type IN ('ChildWorkflowCompleted', 'ChildWorkflowFailed')"


def _compare(reader: Reader, tree: Tree) -> list[str]:
    """Lay the ends of a tree's runs beside how they must have ended."""
    expected = family.ends(tree.root, tree.reason)
    ended = {
        workflow_id: reason or family.OPEN
        for workflow_id, reason in reader.rows("SELECT workflow_id, close_reason FROM workflows")
        if workflow_id in expected
    }
    return [
        f"{workflow_id}: {ended.get(workflow_id, 'not there')}, must be {reason}"
        for workflow_id, reason in expected.items()
        if ended.get(workflow_id) != reason
    ]


def _judge(reader: Reader) -> list[str]:
    """Find who is open below a closed parent, and outcomes that were told twice, or not, or to a closed parent."""
    faults = [
        f"{child} is open below {parent}, which is closed ({how})"
        for child, parent, how in reader.rows(
            "SELECT c.workflow_id, p.workflow_id, c.parent_close FROM workflows c JOIN workflows p "
            "ON p.run_key = c.parent_key WHERE c.status IN ('PENDING', 'RUNNING') "
            "AND p.status NOT IN ('PENDING', 'RUNNING') AND c.parent_close <> 'abandon'"
        )
    ]
    told: Counter[tuple[int, str]] = Counter()
    for run_key, payload in reader.rows(f"SELECT run_key, payload FROM workflow_events WHERE {OUTCOME}"):
        told[run_key, _child_of(payload)] += 1
    for child, parent_key, ended, parent_ended in reader.rows(
        "SELECT c.workflow_id, c.parent_key, c.completed_at, p.completed_at FROM workflows c JOIN workflows p "
        "ON p.run_key = c.parent_key"
    ):
        times = told[parent_key, child]
        due = ended is not None and (parent_ended is None or ended < parent_ended)
        if times != due and not (times == 1 and ended == parent_ended):
            faults.append(f"{child} ended at {ended}, its parent at {parent_ended}, and it was told {times} times")
    return faults


def _child_of(payload: str) -> str:
    return str(loads(payload)["child_workflow_id"])
