"""The examples, each played as its docstring says, and what must have come of it."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import requests

from bench.databases import Reader
from bench.processes import Failed
from bench.processes import get
from demo import books
from examples.nightly_report import BRANCHES
from examples.nightly_report import ZONE

from .stage import Play
from .stage import Stage


def expect(found: object, wanted: object, what: str) -> None:
    """Raise Failed where something is not as it should be."""
    if found != wanted:
        raise Failed(f"{what}: {found!r}, expected {wanted!r}")


def hello(stage: Stage) -> str:
    """One worker, one greeting."""
    stage.start("assay worker")

    said = stage.run("python -m")

    expect(said, "hello, World", "it printed")
    return said


def documents(stage: Stage) -> str:
    """Three documents go through a service that fails."""
    port = stage.port_for(8090)
    stage.start("python -m examples.documents.service", "--port", str(port), "--delay", "0")
    stage.start("assay worker", DOCUMENTS_SERVICE_URL=f"http://127.0.0.1:{port}")

    said = stage.run("python -m examples.documents.feed").splitlines()

    expect([line.split(" https")[0] for line in said], [
        "3 approvals started",
        "doc-0001: published by alice", "doc-0002: published by bob", "doc-0003: published by alice",
    ], "it printed")  # fmt: skip
    stats = json.loads(get(port, "/stats")[1])
    expect(stats["published"], 3, "documents that the service has published")
    failures = sum(number for word, number in stats["happened"].items() if not word.endswith(" ok"))
    return f"3 documents published, through {failures} failures of the service"


def deploy_approval(stage: Stage) -> str:
    """Approved by button and by signal, rejected, left alone."""
    program = "python -m examples.deploy_approval"
    stage.start("assay worker")
    stage.run(f"{program} ask prod v1.4.0")
    stage.run(f"{program} ask prod v1.5.0")
    signalled, late = (
        stage.client.start("ApproveAndDeploy", deploy, id=f"deploy-test-{deploy['version']}", queue="deploys")
        for deploy in ({"env": "test", "version": "v1"}, {"env": "test", "version": "v2", "within_secs": 0.5})
    )

    signalled.signal("approve", {"by": "carol"})

    expect(stage.run(f"{program} approve"), "deployed: https://prod.example.com", "approved by button")
    cancelled = "workflow 'deploy-prod-v1.5.0' was cancelled: rejected by bob"
    expect(stage.run(f"{program} reject"), f"not deployed: {cancelled}", "rejected")
    state = json.loads(stage.run("curl -s http://127.0.0.1:8080/api/v1/workflows/deploy-prod-v1.5.0/state"))
    statuses = [step["status"] for step in state["value"]["steps"]]
    expect(statuses, ["done", "cancelled", "skipped"], "the steps of the rejected one")
    expect(signalled.result(timeout=60), "https://test.example.com", "approved by signal")
    stage.until(lambda: late.describe()["status"] == "CANCELLED", "the one that nobody approves ends")
    return "approved by button, by signal, rejected, out of time"


def checkout(stage: Stage) -> str:
    """One order for each way to end."""
    port = stage.port_for(8091)
    backend = stage.start("python -m examples.checkout.backend", "--port", str(port), "--delay", "0")
    stage.until(lambda: bool(backend.tail()), "the back-end listens")
    stage.start("assay worker", CHECKOUT_BACKEND_URL=f"http://127.0.0.1:{port}")

    said = [
        stage.run("python -m examples.checkout.order lamp", "--pickup", "0.2"),
        stage.run("python -m examples.checkout.order piano"),
        stage.run("python -m examples.checkout.order sofa", "--pickup", "0.2"),
        stage.run("python -m examples.checkout.order vase"),
    ]

    ends = [
        "shipped: label-lamp-",
        "failed, and everything was given back: activity 'charge' failed: Declined",
        "failed, and everything was given back: child workflow",
        "cancelled, and everything was given back",
    ]
    expect([line[: len(end)] for line, end in zip(said, ends, strict=True)], ends, "it printed")
    bought = books.read(json.loads(stage.run("curl -s http://127.0.0.1:8091/books")))
    runs = list(stage.client.list(type="Checkout"))
    expect(len(runs), 4, "runs")
    expect(bought.keys(), {run["run_id"] for run in runs}, "purchases in the books")
    for run in runs:
        order = run["input"]
        shipped = run["status"] == "COMPLETED"
        faults = books.faults(bought[run["run_id"]], shipped, order["parcels"], order["pickup_secs"])
        expect(faults, [], f"{run['id']} is {run['status']}: faults in the books")
    return "shipped, declined, undeliverable, cancelled: the books are right"


def shop(stage: Stage) -> str:
    """An order that is cancelled, one that is shipped, and a shop that is killed while orders are placed."""
    backend, port = stage.port_for(8091), stage.port_for(5000)
    serving = stage.start("python -m flask", "--port", str(port), SHOP_DATABASE=stage.database)
    listening = stage.start("python -m examples.checkout.backend", "--port", str(backend), "--delay", "0")
    stage.until(lambda: listens(port) and bool(listening.tail()), "the shop and its back-end listen")
    stage.start("assay worker", CHECKOUT_BACKEND_URL=f"http://127.0.0.1:{backend}")
    orders = f"http://127.0.0.1:{port}/orders"

    def place(id: str) -> int:
        asked = {"id": id, "sku": "vase", "cents": "100", "pickup_secs": "0.2"}
        return requests.post(orders, data=asked, timeout=60).status_code

    def status(id: str) -> str:
        return str(requests.get(f"{orders}/{id}", timeout=60).json()["status"])

    stage.run("curl -s http://127.0.0.1:5000/orders -d")
    expect(json.loads(stage.run("curl -s http://127.0.0.1:5000/orders/7"))["status"], "on its way", "order 7 is")
    stage.run("curl -s -X POST http://127.0.0.1:5000/orders/7/cancel")
    expect(place("8"), 201, "order 8 is placed")
    stage.until(lambda: status("7").startswith("cancelled"), "order 7 is cancelled")
    stage.until(lambda: status("8") == "shipped", "order 8 is shipped")
    expect(place("8"), 409, "order 8, again, when its run has ended")

    with ThreadPoolExecutor(4) as customers, closing(Reader(stage.database)) as reader:
        placing = [customers.submit(place, f"n{number}") for number in range(100)]
        stage.until(lambda: sum(one.done() for one in placing) >= 20, "some orders are placed")
        stage.kill(serving)
        placed = sum(one.exception() is None and one.result() == 201 for one in placing)
        kept = {run_id for (run_id,) in reader.rows("SELECT run_id FROM shop_orders")}
        started = {run_id for (run_id,) in reader.rows("SELECT run_id FROM workflows WHERE workflow_type = 'Checkout'")}
    expect(kept, started, "orders and runs that are there")
    if not 20 <= placed <= len(kept) - 2 < 100:
        raise Failed(f"{placed} of 100 orders were answered, {len(kept) - 2} are there, and the shop was killed")
    return f"one cancelled, one shipped; killed after {placed} orders, {len(kept) - 2} were there, each with its run"


def nightly_report(stage: Stage) -> str:
    """A night, the same night again, several nights in one chain; by schedule now, and for nights that have passed."""
    stage.start("assay worker")

    report = stage.ground.directory / stage.run("python -m examples.nightly_report")
    once = report.read_text()
    stage.run("python -m examples.nightly_report")
    stage.run("python -m examples.nightly_report 2026-02-27 --until 2026-03-01")
    said = [stage.run("python -m examples.nightly_report --every-night") for _ in range(2)]
    triggered = json.loads(stage.run("assay schedule trigger"))
    filled = json.loads(stage.run("assay schedule backfill"))

    expect([line.split(",")[0] for line in once.splitlines()], ["branch", *BRANCHES, "all"], "the lines of a report")
    expect(said[0], said[1], "the schedule's next times")
    expect(said[0].count(" 02:00:00+"), 3, "times that it names")
    again = stage.client.handle(triggered["workflow_id"]).result(timeout=60)
    day_before = datetime.fromtimestamp(triggered["tick"], ZoneInfo(ZONE)).date() - timedelta(days=1)
    expect(Path(again).name, f"{day_before}.csv", "the report of the run that was triggered")
    expect(filled["ticks"], 2, "nights of the backfill")
    nights = {f"2026-0{night}.csv" for night in ("2-27", "2-28", "3-01", "3-02", "3-03")}
    made = {report.name, f"{day_before}.csv", *nights}
    stage.until(lambda: {path.name for path in report.parent.glob("[!.]*")} == made, "all reports are there")
    expect(report.read_text(), once, "the same report made again")
    return "yesterday's report three times, three nights in a chain, two nights that nobody had made"


def legacy_worker(stage: Stage) -> str:
    """A run before the service is restarted, and one after."""
    worker = stage.start("python examples/legacy_worker.py")
    stage.run("curl")
    handle = stage.client.handle("meter-7")
    stage.until(lambda: handle.describe()["status"] == "COMPLETED", "the run of the docstring completes")

    stage.restart_service()

    again = stage.client.start("ReadMeter", {"meter": "A7"}, id="meter-7-again", queue="meters")
    expect(again.result(timeout=60), handle.describe()["result"], "the result after the restart")
    expect(handle.describe()["result"], {"meter": "A7", "kwh": 308}, "the result")
    expect(worker.alive, True, "the worker lives")
    return "one run before the service's restart, one after it"


def embedding(stage: Stage) -> str:
    """As a library, in a transaction, and in a Flask application that a worker connects to."""
    expect(stage.run("python -m examples.embedding.library"), "PENDING", "the library's run is")
    orders = stage.run("python -m examples.embedding.in_transaction").splitlines()
    expect(orders[1:], ["7: PENDING", "8: PENDING"], "orders and their runs")
    port = stage.port_for(5000)
    stage.start("python -m flask", "--port", str(port))
    stage.until(lambda: listens(port), "the application listens")
    stage.start("assay worker")

    stage.run("curl")

    run = "/flow/api/v1/workflows/greet-Ada"
    stage.until(lambda: json.loads(get(port, run)[1])["status"] == "COMPLETED", "the run in the application completes")
    return "a library, two orders with their runs, a greeting in a Flask application"


def listens(port: int) -> bool:
    """Whether a program accepts connections."""
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) == 0


PLAYS = (
    Play("hello", ("hello.py",), hello),
    Play("embedding", tuple(f"embedding/{name}.py" for name in ("library", "in_flask", "in_transaction")), embedding),
    Play("documents", ("documents/workflow.py",), documents),
    Play("deploy_approval", ("deploy_approval.py",), deploy_approval),
    Play("checkout", ("checkout/workflow.py",), checkout),
    Play("shop", ("shop/app.py",), shop),
    Play("nightly_report", ("nightly_report.py",), nightly_report),
    Play("legacy_worker", ("legacy_worker.py",), legacy_worker),
)
