"""The demo runs, at a tiny size, and says no when it must. Nothing here is about speed."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench.databases import Reader
from demo import blows
from demo import books
from demo import ledger
from demo import main as demo_main
from demo import proc
from demo import runs
from demo import timers
from demo.approvals import approvals
from demo.blows import Blow
from demo.checkouts import Purchase
from demo.checkouts import audit
from demo.ledger import Entry
from demo.ledger import Scheduled
from demo.report import Found
from demo.report import report
from demo.runs import End


def test_a_small_demo_finishes_and_its_kills_bite(capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        "--approvals",
        "6",
        "--checkouts",
        "10",
        "--secs",
        "6",
        "--rounds",
        "1",
        "--kinds",
        blows.WORKER,
        blows.WEB,
    ]
    ended = demo_main.main(asked)
    said = capsys.readouterr().out
    assert ended == 0, said
    assert "6 of 6 approvals finished as they must" in said
    assert "10 of 10 checkouts finished as they must" in said
    assert "nobody paid twice" in said
    assert "fsck: clean" in said
    assert said.count("1 of 1 kills bit") == 2


def test_a_kill_that_did_not_bite_is_not_counted() -> None:
    found = Found(blows=[_blow(blows.WEB, 1.0), _blow(blows.WEB, 2.0, bit=False)])
    assert len(found.counted(blows.WEB)) == 1
    assert "1 of 3 kills bit (1 more did not)" in report(found, [blows.WEB], 3, {})


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


# ------------------------------------------------------------------------------------ the runs, their timers


SHIPPED = {
    "order": "order-0001",
    "payment": "payment-order-0001",
    "labels": ["label-order-0001-1", "label-order-0001-2"],
}


def test_errands_are_mixed_evenly() -> None:
    kinds = [errand.kind for errand in runs.interleaved(approvals(2), [Purchase(n) for n in range(1, 5)])]

    assert kinds == ["approvals", "checkouts", "checkouts", "approvals", "checkouts", "checkouts"]


@pytest.mark.parametrize(
    ("number", "end", "word"),
    [
        (1, End("COMPLETED", SHIPPED, None), "shipped"),
        (8, End("FAILED", None, "activity 'charge' failed: Declined: the bank declines"), "declined"),
        (9, End("FAILED", None, "child workflow failed: Undeliverable"), "undeliverable"),
        (10, End("CANCELLED", None, None), "cancelled"),
    ],
)
def test_a_checkout_ends_as_its_order_says(number: int, end: End, word: str) -> None:
    assert Purchase(number).judge(end) == (word, None)


@pytest.mark.parametrize(
    ("number", "end"),
    [
        (1, End("COMPLETED", {**SHIPPED, "labels": SHIPPED["labels"][:1]}, None)),
        (1, End("CANCELLED", None, None)),
        (8, End("FAILED", None, "activity 'charge' failed: no answer")),
        (9, End("COMPLETED", SHIPPED, None)),
        (10, End("FAILED", None, "no answer")),
    ],
    ids=["a label is missing", "cancelled by nobody", "not for its reason", "shipped nowhere", "failed"],
)
def test_a_checkout_that_ends_otherwise_is_a_fault(number: int, end: End) -> None:
    assert "expected" in str(Purchase(number).judge(end)[1])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[sqlite3.Connection, Reader]]:
    """The columns that the demo looks at, to be filled with what must not be."""
    with (
        closing(sqlite3.connect(tmp_path / "demo.db", isolation_level=None)) as database,
        closing(Reader(f"sqlite://{tmp_path / 'demo.db'}")) as reader,
    ):
        database.executescript(
            "CREATE TABLE workflows (run_key, run_id, workflow_id, workflow_type, parent_key, status, input, result, "
            "error);"
            "CREATE TABLE workflow_timers (run_key, seq, status, fire_at);"
            "CREATE TABLE workflow_events (run_key, seq, event_type, ref_seq, timestamp);"
        )
        yield database, reader


def test_starts_that_were_lost_or_that_nobody_was_told_of_are_faults(place: tuple[sqlite3.Connection, Reader]) -> None:
    database, reader = place
    database.execute(
        "INSERT INTO workflows (run_id, workflow_id, status) VALUES ('run-2', 'checkout-order-0010', 'CANCELLED')"
    )

    judged = runs.judge(reader, [Purchase(10), Purchase(20)], {"run-1": "checkout-order-0020"})

    assert judged.outcomes == {"checkouts": {"cancelled": 1}}
    assert judged.faults == [
        "run-1 was started, and is not there",
        "run-2 is there, and nobody was told so",
        "checkout-order-0020 is missing",
    ]


@pytest.mark.parametrize(
    ("status", "fired_at", "fault"),
    [
        ("FIRED", (9.5,), "run-1 timer 1: fired 0.500000 s early"),
        ("FIRED", (10.0, 11.0), "run-1 timer 1: FIRED, fired 2 times"),
        ("FIRED", (), "run-1 timer 1: FIRED, fired 0 times"),
        ("CANCELLED", (10.0,), "run-1 timer 1: CANCELLED, fired 1 times"),
        ("PENDING", (), "run-1 timer 1: PENDING, fired 0 times"),
    ],
)
def test_a_timer_fires_once_and_not_before_its_time(
    place: tuple[sqlite3.Connection, Reader], status: str, fired_at: tuple[float, ...], fault: str
) -> None:
    database, reader = place
    database.execute("INSERT INTO workflows (run_key, run_id) VALUES (1, 'run-1')")
    database.execute("INSERT INTO workflow_timers VALUES (1, 1, ?, 10.0)", (status,))
    for seq, at in enumerate(fired_at, 2):
        database.execute("INSERT INTO workflow_events VALUES (1, ?, 'TimerFired', 1, ?)", (seq, at))

    assert timers.judge(reader).faults == [fault]


def test_the_audit_finds_what_only_the_books_or_only_the_runs_know(place: tuple[sqlite3.Connection, Reader]) -> None:
    database, reader = place
    order = '{"id": "order-1", "parcels": 1, "pickup_secs": 0.0}'
    for run in ("run-1", "run-2"):
        database.execute(
            "INSERT INTO workflows (run_id, workflow_type, status, input) VALUES (?, 'Checkout', 'COMPLETED', ?)",
            (run, order),
        )
    entries = [
        {"at": 1.0, "purchase": purchase, "order": "order-1", "what": what, "n": n}
        for purchase in ("run-1", "run-2")
        for what, n in (("held", 0), ("charged", 5), ("labelled", 1))
    ]
    stranger = {"at": 1.0, "purchase": "run-3", "order": "order-3", "what": "held", "n": 0}

    faults = audit(reader, [*entries, stranger]).faults

    assert faults == ["the books know run-3, and nobody else does", "order-1 is paid for 2 times"]


def test_a_refused_activity_needs_no_line_and_an_unfinished_one_is_a_fault() -> None:
    refused = Scheduled(status="FAILED", recorded=0, failed_attempts=frozenset({1}))

    assert ledger.judge([], {("run-1", 1): refused}, []).faults == []
