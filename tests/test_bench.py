"""The benchmark runs, at a tiny size, and says no when it must. Nothing here is about speed."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from assay_wsgi.app import create_app
from assay_wsgi.engine import Engine
from assay_wsgi.settings import Settings
from assay_wsgi.store import fsck
from bench import counted
from bench import counting
from bench import limits
from bench import load
from bench import main as bench_main
from bench import report
from bench import scale
from bench import workloads
from bench.databases import databases
from bench.filling import fill
from bench.processes import Failed
from bench.processes import Ground
from bench.workloads import Sizes

TINY = Sizes(
    start_secs=0.2, batch_secs=0.2, hellos=100, polled=100, singles=3, limit_secs=0.1, counted=100, counted_singles=3
)
FINISHING = {
    "SDK": lambda site: workloads.hellos(site, total=100, workers=1),
    "polling": lambda site: workloads.polling(site, total=100, workers=2),
}


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_a_repetition_measures_every_figure_of_the_table(backend: str, tmp_path: Path) -> None:
    with databases(backend) as place:
        figures = bench_main.repetition(Ground(tmp_path), place, TINY)
    assert {row.key for row in report.ROWS} <= figures.keys()
    assert all(value > 0 for value in figures.values())
    table = report.table("here", [figures, figures], {})
    assert "hello through the SDK" in table
    assert "the old way: one by one" in table


@pytest.mark.parametrize("finishing", FINISHING)
@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_the_counted_pass_counts_what_a_workflow_costs(backend: str, finishing: str, tmp_path: Path) -> None:
    with databases(backend) as place:
        costs = counted.count(Ground(tmp_path), place, FINISHING[finishing])
    assert costs["events"] == 4
    assert all(costs[name] for name in ("rows", "statements", "commits", "bytes"))
    assert costs["fsyncs"] or (backend == "sqlite" and not shutil.which("strace"))


def test_a_dirty_database_gives_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_main, "fsck", lambda ground, url: "BROKEN history_gapless")
    for name in ("starts", "batches", "hellos", "polling", "latency"):
        monkeypatch.setattr(workloads, name, lambda site, **sizes: {"runs": 0.0})
    monkeypatch.setattr(limits, "flask_per_s", lambda ground, backend, secs: {})
    with databases("sqlite") as place, pytest.raises(Failed, match="history_gapless"):
        bench_main.repetition(Ground(tmp_path), place, TINY)


def test_a_commit_that_nobody_could_poll_has_no_figure_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    polling = workloads.polling
    for name in ("starts", "batches", "hellos", "latency"):
        monkeypatch.setattr(workloads, name, lambda site, **sizes: {"hello_p50_ms": 2.0, "runs": 0.0})
    monkeypatch.setattr(limits, "flask_per_s", lambda ground, backend, secs: {})
    with without_polling_routes() as port, databases("sqlite") as place:
        monkeypatch.setattr(
            workloads, "polling", lambda site, **sizes: polling(dataclasses.replace(site, port=port), **sizes)
        )
        figures = bench_main.repetition(Ground(tmp_path), place, TINY)

    assert figures.keys() == {"hello_p50_ms", "commits_per_s"}


@contextmanager
def without_polling_routes() -> Iterator[int]:
    """Serve a Flask app that has none of them; give its port."""
    server = make_server("127.0.0.1", 0, Flask("earlier"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_a_commit_does_not_offer_is_a_dash_in_every_table() -> None:
    present = {row.key: 50.0 for row in report.ROWS}
    earlier = {key: value for key, value in present.items() if key != "polled_hellos_per_s"}

    table = report.table("here", [earlier], {"polling": None})
    beside = report.comparison(("earlier", "present"), [earlier], [present])

    title = "the old way: one by one, 4 polling"
    assert [line.removeprefix(title).split() for line in table.splitlines() if line.startswith(title)] == [
        ["-"],
        ["-"] * 6,
    ]
    assert [line.removeprefix(title).split() for line in beside.splitlines() if line.startswith(title)] == [
        ["-", "50.0", "/s", "-"]
    ]


def test_a_commit_that_is_not_there_ends_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_main.main(["--backend", "sqlite", "--against", "no-such-commit"]) == 1
    assert "no commit 'no-such-commit'" in capsys.readouterr().err


def test_statements_commits_and_rows_are_counted(tmp_path: Path) -> None:
    counter = counting.Counter(tmp_path)
    with closing(counter(sqlite3.connect(":memory:", isolation_level=None))) as db:
        cursor = db.cursor()
        cursor.execute("CREATE TABLE t (x)")
        cursor.execute("BEGIN")
        cursor.executemany("INSERT INTO t VALUES (?)", [(1,), (2,), (3,)])
        cursor.execute("SELECT * FROM t")
        assert len(cursor.fetchall()) == 3
        db.commit()
    assert counting.read(tmp_path) == counting.Counts(statements=3, commits=1, rows=3)


def test_requests_are_numbered_alone_and_in_batches() -> None:
    order = load.Order(port=1, path="/x", item='{"id":"%N"}', connections=1, first=7, total=2)
    assert [one.rpartition(b"\r\n")[2] for one in load.requests_of(order)] == [b'{"id":"7"}', b'{"id":"8"}']
    batch = load.Order(port=1, path="/x", item='{"id":"%N"}', connections=1, batch=2, total=1)
    (request,) = load.requests_of(batch)
    assert json.loads(request.rpartition(b"\r\n")[2]) == {"workflows": [{"id": "0"}, {"id": "1"}]}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_the_same_requests_are_measured_among_many_runs_and_among_few(backend: str) -> None:
    told: list[str] = []
    with databases(backend) as place:
        sizes = scale.Sizes(closed=1200, open_runs=300, requests=2, slow_requests=2)
        lines = list(scale.measure(place, sizes, told.append))

    asked = scale.requests()
    assert [line[:40].strip().rstrip(" *") for line in lines[2:-1]] == [request.title for request in asked]
    assert [request.title for request in asked if request.title not in told] == []
    assert all(float(figure) > 0 for line in lines[2:-1] for figure in line[40:].split())


def test_each_request_among_many_runs_is_answered_and_finds_something(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/assay.db"
    Engine.open(url).close()
    fill(url, closed=1000, open_runs=200)
    engine = Engine.open(url)
    client = create_app(Settings(), engine).test_client()
    finds_nothing = {"list, children of a run", "list, claimed by a worker", "list, q that no index serves"}

    for request in scale.requests():
        answer = client.open(scale.API + request.path, method=request.method, json=request.body(1))
        assert answer.status_code in (200, 201), request.title
        assert bool(answer.get_json()) is (request.title not in finds_nothing), request.title
    assert fsck.check(engine.store) == []
    engine.close()


def test_the_table_lays_the_slowest_hundredth_of_both_beside_each_other() -> None:
    asked = scale.requests()[:1]
    few, many = ({asked[0].title: [float(took) for took in range(1, 101)][::way]} for way in (1, -1))

    line = list(scale.table(asked, few, many))[2]

    assert line.split()[1:] == ["51.00", "100.00", "51.00", "100.00", "1.00"]
