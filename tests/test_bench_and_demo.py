"""The benchmark and the demo run, at tiny sizes, and say no when they must. Nothing here is about speed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from bench import counted
from bench import counting
from bench import limits
from bench import load
from bench import main as bench_main
from bench import report
from bench import workloads
from bench.databases import databases
from bench.processes import Failed
from bench.processes import Ground
from bench.workloads import Sizes
from demo import blows
from demo import books
from demo import ledger
from demo import main as demo_main
from demo import proc
from demo.blows import Blow
from demo.ledger import Entry
from demo.ledger import Scheduled

TINY = Sizes(
    start_secs=0.2, batch_secs=0.2, hellos=100, polled=100, singles=3, limit_secs=0.1, counted=100, counted_singles=3
)
FINISHING = {
    "SDK": lambda site: workloads.hellos(site, total=100, workers=1),
    "polling": lambda site: workloads.polling(site, total=100, workers=2),
}


# -------------------------------------------------------------------------------------------- the benchmark


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


# ------------------------------------------------------------------------------------------------- the demo


def test_a_small_demo_finishes_and_its_kills_bite(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--documents", "8", "--secs", "6", "--rounds", "1", "--kinds", blows.WORKER, blows.WEB]
    ended = demo_main.main(asked)
    said = capsys.readouterr().out
    assert ended == 0, said
    assert "8 of 8 approvals finished as decided" in said
    assert "fsck: clean" in said
    assert said.count("1 of 1 kills bit") == 2


def test_a_kill_that_did_not_bite_is_not_counted() -> None:
    found = demo_main.Found(blows=[_blow(blows.WEB, 1.0), _blow(blows.WEB, 2.0, bit=False)])
    assert len(found.counted(blows.WEB)) == 1
    assert "1 of 3 kills bit (1 more did not)" in demo_main.report(found, [blows.WEB], 3, 0)


def test_a_second_line_needs_its_cause() -> None:
    first, second = _entry(10.0, "demo-1", attempt=1), _entry(12.0, "demo-2", attempt=1)
    done = {("run-1", 1): Scheduled(status="COMPLETED", recorded=1, failed_attempts=frozenset())}
    unexplained = ledger.judge([first, second], done, [_blow(blows.WORKER, 9.0, worker="demo-1")])
    assert "nothing explains it" in unexplained.faults[0]
    other = ledger.judge([first, second], done, [_blow(blows.WORKER, 11.0, worker="demo-2")])
    assert other.faults
    killed = ledger.judge([first, second], done, [_blow(blows.WORKER, 11.0, worker="demo-1")])
    assert not killed.faults
    assert killed.repeats == {"kill of its worker": 1}


def test_a_failed_attempt_explains_the_next_one() -> None:
    lines = [_entry(10.0, "demo-1", attempt=1), _entry(12.0, "demo-1", attempt=2)]
    done = {("run-1", 1): Scheduled(status="COMPLETED", recorded=1, failed_attempts=frozenset({1}))}
    assert ledger.judge(lines, done, []).repeats == {"failure of the document service": 1}


@pytest.mark.parametrize(
    ("lines", "activity"),
    [
        (0, Scheduled(status="COMPLETED", recorded=1, failed_attempts=frozenset())),
        (1, Scheduled(status="COMPLETED", recorded=2, failed_attempts=frozenset())),
        (1, Scheduled(status="RUNNING", recorded=0, failed_attempts=frozenset())),
    ],
    ids=["nobody did it", "recorded twice", "not finished"],
)
def test_an_activity_is_done_and_recorded_once(lines: int, activity: Scheduled) -> None:
    verdict = ledger.judge([_entry(1.0, "demo-1", attempt=1)] * lines, {("run-1", 1): activity}, [])
    assert len(verdict.faults) == 1


def test_a_line_of_an_unknown_activity_is_a_fault() -> None:
    assert "not in the database" in ledger.judge([_entry(1.0, "demo-1", attempt=1)], {}, []).faults[0]


@pytest.fixture
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection over loopback: the client's, the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        server, _ = listening.accept()
        with client, server:
            yield client, server


def test_the_process_at_the_other_end_is_found(connected: tuple[socket.socket, socket.socket]) -> None:
    assert proc.holder_of_other_end(connected[0], [1, os.getpid()]) == os.getpid()
    assert proc.holder_of_other_end(connected[0], []) is None


def test_an_answer_is_seen_without_being_taken(connected: tuple[socket.socket, socket.socket]) -> None:
    client, server = connected
    client.settimeout(5)
    assert not blows.answered(client)
    server.sendall(b"x")
    client.setblocking(True)
    assert client.recv(1, socket.MSG_PEEK) == b"x"
    assert blows.answered(client)
    assert client.recv(1) == b"x"


def test_a_strike_waits_for_a_request(
    connected: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(blows, "kill", lambda pid: killed.append(pid) or 5.0)
    watch = blows.Watch(lambda: (42,))
    strike = blows.Strike(kind=blows.WEB, victim=lambda holder: holder)
    got: list[Blow | None] = []
    waiting = threading.Thread(target=lambda: got.append(watch.strike(strike, timeout=30)))
    waiting.start()
    while (hit := watch.sent(connected[0], 42, "POST /workflows")) is None:
        pass
    watch.ended(hit, answered=False)
    waiting.join()
    assert killed == [42]
    assert got[0] is not None
    assert got[0].bit
    assert "never answered" in got[0].proof


def _blow(kind: str, at: float, *, worker: str = "", bit: bool = True) -> Blow:
    return Blow(kind=kind, pid=1, at=at, worker=worker, bit=bit, recovered_secs=1.0)


def _entry(at: float, worker: str, *, attempt: int) -> Entry:
    return Entry(run_id="run-1", seq=1, attempt=attempt, name="check", at=at, worker=worker)


# ------------------------------------------------------------------------------------------ the shop's books


def _lines(*words: str) -> list[books.Line]:
    """Lines of one purchase, a second apart: `labelled 2` is the label of its second parcel."""
    return [
        books.Line(float(at), "run-1", "order-1", word.split()[0], int(f"{word} 0".split()[1]))
        for at, word in enumerate(words)
    ]


@pytest.mark.parametrize(
    ("shipped", "words"),
    [
        (True, ("held", "charged", "labelled 2", "labelled 1")),
        (False, ()),
        (False, ("held", "released")),
        (False, ("held", "charged", "labelled 1", "recalled", "refunded", "released")),
    ],
    ids=["shipped", "nothing was done", "declined", "undeliverable"],
)
def test_books_are_right_where_all_was_shipped_or_all_was_given_back(shipped: bool, words: tuple[str, ...]) -> None:
    assert books.faults(_lines(*words), shipped, parcels=2, pickup_secs=1.0) == []


@pytest.mark.parametrize(
    ("shipped", "words", "fault"),
    [
        (True, ("held", "charged", "charged", "labelled 1"), "charged twice"),
        (True, ("held", "charged", "labelled 1", "labelled 1"), "labels [1, 1]"),
        (True, ("held", "charged", "labelled 1"), "shipped in 2 parcels"),
        (True, ("held", "charged", "labelled 1", "labelled 2", "refunded"), "shipped in 2 parcels"),
        (False, ("held", "charged", "released"), "owed ['refunded', 'released']"),
        (False, ("held", "charged", "released", "refunded"), "owed ['refunded', 'released']"),
        (False, ("held", "released", "refunded"), "owed ['released']"),
        (False, ("held", "released", "held"), "held after it was released"),
    ],
    ids=[
        "charged twice", "a label twice", "a label is missing", "shipped and refunded", "not refunded",
        "in the wrong order", "refunded without a charge", "held again",
    ],
)  # fmt: skip
def test_books_that_are_wrong_say_what_is(shipped: bool, words: tuple[str, ...], fault: str) -> None:
    assert fault in "; ".join(books.faults(_lines(*words), shipped, parcels=2, pickup_secs=1.0))


def test_a_label_before_its_time_is_a_fault() -> None:
    found = books.faults(_lines("held", "charged", "labelled 1"), True, parcels=1, pickup_secs=1.5)

    assert found == ["label 1 was printed 1.000 s after the payment, too early by its timer"]
