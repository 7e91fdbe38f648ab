"""The runs that the demo starts: what is said to each meanwhile, and how each must end."""

from __future__ import annotations

import json
from collections import Counter
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import Protocol

from assay_wsgi.sdk import Client
from assay_wsgi.sdk import WorkflowHandle
from bench.databases import Reader


class End(NamedTuple):
    """How a run ended, by the database."""

    status: str
    result: Any
    error: str | None


class Errand(Protocol):
    """A run that the feeder starts."""

    kind: str
    workflow_id: str
    follow_up_secs: float  # from its start until something is said to it

    def start(self, client: Client) -> WorkflowHandle[Any]:
        """Start it."""

    def follow_up(self, client: Client) -> None:
        """Say what is to be said to it."""

    def judge(self, end: End) -> tuple[str, str | None]:
        """Give the end in a word, and what is wrong with it."""


class Judged(NamedTuple):
    """What became of all of them."""

    outcomes: Mapping[str, Counter[str]]  # kind -> word -> runs that ended so, as they had to
    faults: Sequence[str]


def interleaved(*kinds: Sequence[Errand]) -> list[Errand]:
    """Mix errands, so that of each kind the same part is done at any time."""
    placed = [(place / len(kind), errand) for kind in kinds for place, errand in enumerate(kind)]
    return [errand for _, errand in sorted(placed, key=lambda one: one[0])]


def judge(reader: Reader, errands: Iterable[Errand], started: Mapping[str, str]) -> Judged:
    """Count the ends; list what differs from what had to be, and every start that was lost or doubled.

    `started`: run_id -> workflow_id of all starts that were answered.
    """
    runs = {
        run_id: (workflow_id, End(status, json.loads(result) if result else None, error))
        for run_id, workflow_id, status, result, error in reader.rows(
            "SELECT run_id, workflow_id, status, result, error FROM workflows WHERE parent_key IS NULL"
        )
    }
    faults = [f"{run_id} was started, and is not there" for run_id in started.keys() - runs.keys()]
    faults += [f"{run_id} is there, and nobody was told so" for run_id in runs.keys() - started.keys()]
    ends = dict(runs.values())
    outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for errand in errands:
        end = ends.get(errand.workflow_id)
        word, fault = errand.judge(end) if end else ("", "is missing")
        if fault:
            faults.append(f"{errand.workflow_id} {fault}")
        else:
            outcomes[errand.kind][word] += 1
    return Judged(outcomes, faults)
