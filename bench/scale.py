"""`python -m bench.scale`: what a request takes among a million runs, beside a database that is nearly empty.

Both databases are served at the same time, and each request goes to one, then to the other. The nearly empty one
has a thousand closed and four thousand open runs: a page of it has as many rows, and each poll finds a task.
A figure is printed only where `assay fsck` finds both databases clean afterwards.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import closing
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from urllib.parse import urlencode

from .databases import BACKENDS
from .databases import Databases
from .databases import databases
from .filling import BEGAN
from .filling import fill
from .load import quantile
from .main import machine
from .processes import Failed
from .processes import Ground
from .processes import fsck
from .processes import service

API = "/api/v1"
SMALL, SMALL_OPEN = 1_000, 4_000  # closed and open runs of the nearly empty database
WARM_UP = 5  # requests of each kind that are not counted
SLOW_SECS = 20.0


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many runs, and how many requests of each kind."""

    closed: int = 1_000_000
    open_runs: int = 100_000
    requests: int = 300
    slow_requests: int = 20


@dataclass(frozen=True)
class Request:
    """A request of one kind: `number` makes the body of each its own."""

    title: str
    method: str
    path: str
    body: Callable[[int], object] = lambda _: None
    counts: bool = False  # reads all that it counts: asked for less often, and no figure to hold against the bar


def _get(title: str, path: str, *, counts: bool = False, **query: object) -> Request:
    named = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in query.items()}
    return Request(title, "GET", f"{path}?{urlencode(named)}" if named else path, counts=counts)


def _new_run(number: int) -> object:
    attributes = {"env": "new", "customer": f"n-{number}"}
    return {
        "workflow_type": "New", "workflow_id": f"new-{number}", "task_queue": "new", "search_attributes": attributes,
    }  # fmt: skip


def _poll(number: int) -> object:
    return {"queue": "queue0", "worker_id": f"bench-{number}"}


def requests() -> list[Request]:
    """Give what is asked, in this order."""
    runs, middle = "/workflows", BEGAN + SMALL * 0.05  # both databases have runs of then
    return [
        Request("start", "POST", runs, _new_run),
        Request("claim (poll for a workflow task)", "POST", "/workflow-tasks/poll", _poll),
        _get("list, newest first", runs),
        _get("list, status", runs, status="FAILED"),
        _get("list, type", runs, type="Type3"),
        _get("list, status and type", runs, status="COMPLETED", type="Type3"),
        _get("list, an attribute of ten runs", runs, search_attrs={"customer": "c-77"}),
        _get("list, an attribute of half the runs", runs, search_attrs={"env": "prod"}),
        _get("list, both attributes", runs, search_attrs={"env": "prod", "customer": "c-77"}),
        _get("list, started between", runs, created_after=middle, created_before=middle + 10),
        _get("list, closed between", runs, closed_after=middle, closed_before=middle + 10),
        _get("list, children of a run", runs, parent_id="w77"),
        _get("list, claimed by a worker", runs, claimed_by="nobody"),
        _get("list, q: id and an attribute", runs, q="WorkflowId STARTS_WITH 'w777' AND env = 'test'"),
        _get("list, q: either of two, by close time", runs, q="customer IN ('c-7', 'c-8') ORDER BY CloseTime DESC"),
        _get("describe a run", f"{runs}/w77"),
        _get("count, an attribute of ten runs", f"{runs}/count", search_attrs={"customer": "c-77"}),
        _get("queues", "/queues"),
        _get("namespace", "/namespaces/main", counts=True),
        _get("count, all", f"{runs}/count", counts=True),
        _get("count, by status", f"{runs}/count", counts=True, group_by="status"),
        _get("list, q that no index serves", runs, counts=True, q="HistoryLength > 99"),
    ]  # fmt: skip


@dataclass
class Side:
    """One of the two services, and what its requests took, in milliseconds."""

    port: int
    took: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SLOW_SECS)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def ask(self, request: Request, number: int) -> float:
        """Send one, and give how many seconds it took. Raises Failed for an answer that is none of 2xx."""
        body = request.body(number)
        headers = {} if body is None else {"Content-Type": "application/json"}
        began = time.perf_counter()
        self._connection.request(
            request.method, API + request.path, None if body is None else json.dumps(body), headers
        )
        answer = self._connection.getresponse()
        read = answer.read()
        took = time.perf_counter() - began
        if answer.status >= 300:
            raise Failed(f"{request.title}: {answer.status} {read[:300].decode(errors='replace')}")
        return took


def measure(place: Databases, sizes: Sizes, tell: Callable[[str], None]) -> Iterator[str]:
    """Fill, serve, ask; yield the lines of the table. Raises Failed."""
    with ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-scale-")))
        sides = []
        grounds = {}
        for name, closed, open_runs in (("small", SMALL, SMALL_OPEN), ("large", sizes.closed, sizes.open_runs)):
            url = stack.enter_context(place.fresh())
            ground = Ground(made / name)
            _make(ground, url)
            began = time.monotonic()
            fill(url, closed=closed, open_runs=open_runs, tell=lambda done: tell(f"{done:,} runs are there"))
            tell(f"{name}: filled in {time.monotonic() - began:.0f} s")
            grounds[name] = (ground, url)
        with ExitStack() as serving:
            for ground, url in grounds.values():
                sides.append(serving.enter_context(closing(Side(serving.enter_context(service(ground, url))))))
            for request in requests():
                tell(request.title)
                _ask(sides, request, sizes.slow_requests if request.counts else sizes.requests)
        for ground, url in grounds.values():
            tell("fsck")
            dirty = fsck(ground, url)
            if dirty:
                raise Failed(f"the database is not clean:\n{dirty}")
    yield from table(requests(), *(side.took for side in sides))


def _make(ground: Ground, url: str) -> None:
    done = ground.run(("-m", "assay_wsgi", "db", "migrate", "--backend", url))
    if done.returncode != 0:
        raise Failed(f"the database cannot be made: {done.stderr}")


def _ask(sides: list[Side], request: Request, count: int) -> None:
    for number in range(-WARM_UP, count):
        for side in sides:
            took = side.ask(request, number)
            if number >= 0:
                side.took.setdefault(request.title, []).append(took * 1e3)


def table(asked: list[Request], small: dict[str, list[float]], large: dict[str, list[float]]) -> Iterator[str]:
    """Give the lines of the table: p50 and p99 of both, and how they compare."""
    yield f"{'milliseconds':<40} {'nearly empty':>17} {'many runs':>17} {'p99':>7}"
    yield f"{'':<40} {'p50':>8} {'p99':>8} {'p50':>8} {'p99':>8} {'ratio':>7}"
    for request in asked:
        figures = [quantile(sorted(took[request.title]), share) for took in (small, large) for share in (0.5, 0.99)]
        ratio = figures[3] / figures[1]
        title = f"{request.title} *" if request.counts else request.title
        yield f"{title:<40} " + " ".join(f"{one:>8.2f}" for one in figures) + f" {ratio:>7.2f}"
    yield "* reads every run that it counts, or looks at"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--backend", choices=(*BACKENDS, "both"), default="both")
    parser.add_argument("--closed", type=int, default=Sizes.closed, metavar="N", help="closed runs")
    parser.add_argument("--open", type=int, default=Sizes.open_runs, metavar="N", help="open runs")
    parser.add_argument("--requests", type=int, default=Sizes.requests, metavar="N", help="of each kind")
    options = parser.parse_args(arguments)
    sizes = Sizes(
        closed=options.closed, open_runs=options.open, requests=options.requests,
        slow_requests=min(options.requests, Sizes.slow_requests),
    )  # fmt: skip
    here = machine()
    print(
        f"assay-wsgi at {here['commit']}, {here['cores']} cores ({here['processor']}), load {here['load']:.2f} before; "
        f"{sizes.closed:,} closed and {sizes.open_runs:,} open runs, {sizes.requests} requests of a kind, one at a time"
    )
    try:
        for backend in BACKENDS if options.backend == "both" else (options.backend,):
            with databases(backend) as place:
                lines = list(measure(place, sizes, _tell))
                print(f"\n{place.version}", *lines, "fsck: clean, both", sep="\n", flush=True)
    except Failed as failure:
        print(f"\nno figures: {failure}", file=sys.stderr)
        return 1
    return 0


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        print(f"  {what} ...", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
