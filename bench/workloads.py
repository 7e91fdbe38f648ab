"""The five workloads. Each runs against a service that is up and answers what it measured, or raises Failed.

starts    single starts over 32 kept-alive connections
batches   starts, 100 to a request, over 4 connections
hello     runs of one activity each, queued first, then done by two worker processes with the SDK
polling   the same, done by four worker processes of the old way: one task to a request
latency   hello, one at a time, from sending the start to reading COMPLETED, with a worker that waits
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import ExitStack
from contextlib import closing
from contextlib import contextmanager
from dataclasses import dataclass

from .databases import Reader
from .load import Order
from .load import Seen
from .load import quantile
from .processes import Failed
from .processes import Ground
from .processes import ending
from .processes import wait_until

CONNECTIONS = 32
BATCH = 100
BATCH_CONNECTIONS = 4
QUEUE = "bench"
LOOK_SECS = 0.0005
OPEN = "('PENDING', 'RUNNING')"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of each."""

    start_secs: float = 3.0
    batch_secs: float = 2.0
    hellos: int = 6000
    singles: int = 300
    workers: int = 2
    polled: int = 1500
    polling_workers: int = 4
    limit_secs: float = 1.5
    counted: int = 2000
    counted_singles: int = 200


QUICK = Sizes(
    start_secs=1.0,
    batch_secs=1.0,
    hellos=2000,
    polled=400,
    singles=100,
    limit_secs=0.7,
    counted=600,
    counted_singles=60,
)


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the service under measurement is."""

    ground: Ground
    url: str  # of its database
    port: int


Figures = dict[str, float]
Alive = Callable[[], None]  # raises Failed when a worker has ended


class NotOffered(Failed):
    """The commit under measurement does not have what a workload is about."""


def load(ground: Ground, order: Order) -> Seen:
    """Fire an order from a process of its own. Raises Failed where anything was refused."""
    done = ground.run(("-m", "bench.load"), given=json.dumps(dataclasses.asdict(order)))
    if done.returncode != 0:
        raise Failed(f"the load client failed: {done.stderr.strip()[-600:]}")
    seen = Seen(**json.loads(done.stdout))
    if seen.refused:
        raise Failed(f"{seen.refused} of {seen.sent} requests to {order.path} were refused:\n{seen.first_refusal}")
    return seen


def starts(site: Site, *, secs: float | None = None, total: int | None = None) -> Figures:
    """Start runs one by one. Nobody works on them."""
    order = Order(
        port=site.port,
        path="/api/v1/workflows",
        item=_start("starts", "s-%N"),
        connections=CONNECTIONS,
        secs=secs,
        total=total,
    )
    if secs is not None:  # what every process does only once is no part of a rate
        load(site.ground, dataclasses.replace(order, item=_start("warmup", "w-%N"), secs=None, total=300))
    seen = load(site.ground, order)
    _expect(site, "starts", seen.sent)
    return {
        "starts_per_s": seen.requests / seen.secs,
        "starts_p50_ms": seen.p50_ms,
        "starts_p99_ms": seen.p99_ms,
        "runs": float(seen.sent),
    }


def batches(site: Site, *, secs: float | None = None, total: int | None = None) -> Figures:
    """Start runs in batches."""
    order = Order(
        port=site.port,
        path="/api/v1/workflows/batch",
        item=_start("batches", "b-%N"),
        connections=BATCH_CONNECTIONS,
        batch=BATCH,
        secs=secs,
        total=None if total is None else total // BATCH,
    )
    seen = load(site.ground, order)
    _expect(site, "batches", seen.sent * BATCH)
    return {
        "batched_starts_per_s": seen.requests * BATCH / seen.secs,
        "batches_p50_ms": seen.p50_ms,
        "batches_p99_ms": seen.p99_ms,
        "runs": float(seen.sent * BATCH),
    }


def hellos(site: Site, *, total: int, workers: int) -> Figures:
    """Queue runs, then let workers finish them: from the first claim to the last completion."""
    return {"hellos_per_s": _hellos_per_s(site, "hello", total, _workers(site, "hello", workers)), "runs": float(total)}


def polling(site: Site, *, total: int, workers: int) -> Figures:
    """Do the same with workers of the old way. Raises NotOffered."""
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)) as connection:
        connection.request("POST", "/api/v1/workers/register", "{}", {"Content-Type": "application/json"})
        if connection.getresponse().status == 404:  # it would refuse such a body otherwise
            raise NotOffered("there is no registration of workers that poll")
    finishing = _polling_workers(site, "polling", workers)
    return {"polled_hellos_per_s": _hellos_per_s(site, "polling", total, finishing), "runs": float(total)}


def _hellos_per_s(site: Site, namespace: str, total: int, workers: AbstractContextManager[Alive]) -> float:
    order = Order(
        port=site.port,
        path="/api/v1/workflows/batch",
        item=_start(namespace, "h-%N", '"world"'),
        connections=1,
        batch=BATCH,
        total=total // BATCH,
    )
    load(site.ground, order)
    with closing(Reader(site.url)) as reader, workers as alive:
        queued = f"SELECT count(*) FROM workflows WHERE namespace = ? AND status IN {OPEN}"

        def finished() -> bool:
            alive()
            return not reader.one(queued, (namespace,))

        wait_until(finished, 60 + total / 50, f"{total} workflows of {namespace} are done", every=0.2)
        wrong = reader.one(
            "SELECT count(*) FROM workflows WHERE namespace = ? AND (status <> 'COMPLETED' OR result <> ?)",
            (namespace, '"hello world"'),
        )
        if wrong:
            raise Failed(f"{wrong} of {total} workflows of {namespace} have a wrong outcome")
        # Not from the first completion: by then nearly all first turns are done, since the queue is in order.
        first = reader.one(
            "SELECT min(created_at) FROM notices WHERE namespace = ? AND event_type = 'workflow_running'", (namespace,)
        )
        last, done = reader.rows("SELECT max(completed_at), count(*) FROM workflows WHERE namespace = ?", (namespace,))[
            0
        ]
    if done != total:
        raise Failed(f"{total} workflows of {namespace} were started and {done} are there")
    return float(done / max(last - first, 1e-6))


def latency(site: Site, *, total: int) -> Figures:
    """Run hello again and again, one at a time: from sending the start until the database shows COMPLETED.

    Looked up in the database: asking the service every millisecond would be most of its work.
    """
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    took = []
    with _workers(site, "latency", 1) as alive, closing(Reader(site.url)) as reader, closing(connection):
        for number in range(-10, total):  # the first ones are for the worker to get warm
            began = time.perf_counter()
            started = _call(connection, "POST", "/api/v1/workflows", _start("latency", f"l-{number}", '"world"'))
            run_key = int(json.loads(started)["run_id"].rpartition("-")[2])
            while reader.one("SELECT status FROM workflows WHERE run_key = ?", (run_key,)) != "COMPLETED":
                alive()
                if time.perf_counter() - began > 30:
                    raise Failed("one hello workflow took more than 30 s")
                time.sleep(LOOK_SECS)
            if number >= 0:
                took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return {"hello_p50_ms": quantile(took, 0.5), "hello_p99_ms": quantile(took, 0.99), "runs": float(total + 10)}


def _workers(site: Site, namespace: str, number: int) -> AbstractContextManager[Alive]:
    return _running(
        site,
        {
            f"worker-{namespace}-{which}": (
                *("-m", "assay_wsgi", "worker", "bench.hello_app:app"),
                *("--url", f"http://127.0.0.1:{site.port}", "--queue", QUEUE),
                *("--namespace", namespace, "--worker-id", f"{namespace}-{which}"),
            )
            for which in range(1, number + 1)
        },
    )


def _polling_workers(site: Site, namespace: str, number: int) -> AbstractContextManager[Alive]:
    asked = ("--port", str(site.port), "--namespace", namespace, "--queue", QUEUE)
    names = [f"worker-{namespace}-{which}" for which in range(1, number + 1)]
    return _running(site, dict.fromkeys(names, ("-m", "bench.polling_worker", *asked)))


@contextmanager
def _running(site: Site, workers: Mapping[str, Sequence[str]]) -> Iterator[Alive]:
    """Run worker processes, each by its name; what is given raises Failed when one of them has ended."""
    with ExitStack() as stack:
        children = [stack.enter_context(ending(site.ground.start(name, argv))) for name, argv in workers.items()]

        def alive() -> None:
            for child in children:
                if not child.alive:
                    raise Failed(f"{child.name} ended with {child.process.returncode}:\n{child.tail()}")

        yield alive


def _start(namespace: str, workflow_id: str, given: str = '{"name":"world","greeting":"hello"}') -> str:
    return (
        f'{{"workflow_type":"hello","workflow_id":"{workflow_id}","namespace":"{namespace}",'
        f'"task_queue":"{QUEUE}","input":{given}}}'
    )


def _expect(site: Site, namespace: str, number: int) -> None:
    """Every start that was answered is there, and no other."""
    with closing(Reader(site.url)) as reader:
        found = reader.one("SELECT count(*) FROM workflows WHERE namespace = ?", (namespace,))
    if found != number:
        raise Failed(f"{number} runs were started in {namespace} and {found} are there")


def _call(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> bytes:
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise Failed(f"{method} {path} was answered {answer.status}: {text[:300]!r}")
    return text
