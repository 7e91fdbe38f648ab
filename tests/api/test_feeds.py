"""The feed over HTTP: pages, long polls, and server-sent events."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient

from assay_wsgi.api import feeds
from assay_wsgi.api.context import admission
from assay_wsgi.app import create_app
from assay_wsgi.engine import Engine
from assay_wsgi.settings import HttpSettings
from assay_wsgi.settings import Settings
from tests.api.played_worker import WorkerOverHttp
from tests.engine.following import now
from tests.engine.following import read
from tests.engine.following import short
from tests.engine.stories import Beside
from tests.engine.stories import given_a_run
from tests.engine.stories import put
from tests.processes import until

if TYPE_CHECKING:
    from tests.conftest import Clock

EVENTS = "/api/v1/events"
STREAM = "/api/v1/events/stream"


class Stream:
    """A stream as its client reads it."""

    def __init__(self, client: FlaskClient, path: str = STREAM, **more: Any) -> None:
        self.response = client.get(path, **more)
        self._chunks = self.response.iter_encoded()
        self._text = ""

    def block(self) -> list[str]:
        """Give the lines up to the next empty one."""
        while "\n\n" not in self._text:
            self._text += next(self._chunks).decode()
        block, _, self._text = self._text.partition("\n\n")
        return block.split("\n")

    def event(self) -> dict[str, str]:
        """Give the fields of the next event; comments and what only moves the cursor are passed over."""
        while "data" not in (fields := dict(line.split(": ", 1) for line in self.block())):
            pass
        return fields

    def events(self, count: int) -> list[tuple[str, str]]:
        """Give the ids of runs and the names of so many events."""
        found = [self.event() for _ in range(count)]
        return [(orjson.loads(event["data"])["workflow_id"], event["event"]) for event in found]

    def is_over(self) -> bool:
        return next(self._chunks, None) is None

    def close(self) -> None:
        self.response.close()


@pytest.fixture
def stream(client: FlaskClient) -> Iterator[Stream]:
    opened = Stream(client)
    yield opened
    opened.close()


# ---------------------------------------------------------------------------------------------------- pages


def test_a_client_that_polls_is_told_everything_once(client: FlaskClient, engine: Engine) -> None:
    cursor = client.get(EVENTS).get_json()["cursor"]
    given_a_run(engine, "a")
    given_a_run(engine, "b")
    now(engine)

    pages = []
    for _ in range(3):
        pages.append(client.get(EVENTS, query_string={"after": cursor, "limit": 1}).get_json())
        cursor = pages[-1]["cursor"]

    assert [short(page["events"]) for page in pages] == [[("a", "workflow_started")], [("b", "workflow_started")], []]
    assert pages[0]["events"][0]["id"] == pages[0]["cursor"]


def test_a_long_poll_gives_its_slot_back_and_is_answered_when_something_happens(
    client: FlaskClient, app: Flask, engine: Engine
) -> None:
    with app.app_context():
        slots = admission().computing
    waiting = Beside(lambda: client.get(f"{EVENTS}?wait=20").get_json())
    until(lambda: engine.feed.followers)

    for _ in range(8):  # all that there are: this would wait for one that is held
        slots.acquire()
    assert not slots.acquire(blocking=False)
    slots.release(8)

    given_a_run(engine)
    assert short(waiting.answer()["events"]) == [("w", "workflow_started")]


def test_a_long_poll_beyond_the_budget_is_answered_at_once_and_told_when_to_come_again(engine: Engine) -> None:
    app = create_app(Settings(http=HttpSettings(threads=33, reserved_threads=32)), engine)
    client = app.test_client()
    waiting = Beside(lambda: client.get(f"{EVENTS}?wait=20").get_json())
    until(lambda: engine.feed.followers)

    refused = client.get(f"{EVENTS}?wait=20").get_json()

    assert refused["events"] == []
    assert 1.0 <= refused["retry_after"] <= 5.0
    given_a_run(engine)
    assert waiting.answer()["retry_after"] is None


def test_a_page_says_why_its_cursor_is_of_no_use(client: FlaskClient, engine: Engine) -> None:
    given_a_run(engine)
    cursor = now(engine)

    page = client.get(f"{EVENTS}?after={'0' * 16}-1-1").get_json()

    assert page == {"events": [], "cursor": cursor, "reset": "another_database", "more": False, "retry_after": None}


# --------------------------------------------------------------------------------------------------- streams


def test_a_stream_tells_in_the_words_of_assay_and_can_be_resumed_from_every_event(
    client: FlaskClient, engine: Engine
) -> None:
    """Name and data as assay 0.1.8 has them; ids and `retry` are ours."""
    start = now(engine)
    stream = Stream(client)
    assert stream.block() == ["retry: 3000", ": still here", f"id: {start}"]
    run = given_a_run(engine, "ä")

    event = stream.event()

    (told,) = read(engine, start, count=1)
    assert (event["event"], event["id"]) == ("workflow_started", told["id"])
    data = orjson.loads(event["data"])
    assert data.keys() == {"event_type", "workflow_id", "payload"}
    assert (data["event_type"], data["workflow_id"]) == ("workflow_started", "ä")
    assert {"namespace": "main", "run_id": run.run_id}.items() <= orjson.loads(data["payload"]).items()
    stream.close()


def test_a_stream_is_not_to_be_kept_or_held_up_on_its_way(stream: Stream) -> None:
    headers = stream.response.headers

    assert headers["Content-Type"].startswith("text/event-stream")
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["X-Accel-Buffering"] == "no"


@pytest.mark.parametrize("how", ["header", "query", "both"])
def test_a_stream_goes_on_where_the_last_one_ended(client: FlaskClient, engine: Engine, how: str) -> None:
    for workflow_id in "abc":
        given_a_run(engine, workflow_id)
    first, second, _ = (notice["id"] for notice in read(engine, count=3))
    asked: dict[str, Any] = {
        "header": {"headers": {"Last-Event-ID": second}},
        "query": {"query_string": {"last_event_id": second}},
        # A browser that comes again sends the address of its first request, and says in the header how far it is.
        "both": {"headers": {"Last-Event-ID": second}, "query_string": {"last_event_id": first}},
    }[how]

    stream = Stream(client, **asked)

    assert stream.events(1) == [("c", "workflow_started")]
    stream.close()


def test_a_client_that_has_seen_nothing_yet_can_resume_as_well(client: FlaskClient, engine: Engine) -> None:
    stream = Stream(client)
    *_, cursor = stream.block()
    stream.close()
    given_a_run(engine, "meanwhile")

    stream = Stream(client, headers={"Last-Event-ID": cursor.removeprefix("id: ")})

    assert stream.events(1) == [("meanwhile", "workflow_started")]
    stream.close()


def test_a_stream_is_filtered_and_moves_its_client_past_what_it_does_not_tell(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "SIGN_OF_LIFE_SECS", 0.01)
    stream = Stream(client, f"{STREAM}?namespace=shop&type=workflow_terminated,workflow_started&workflow_id=w")
    start = stream.block()[-1]
    given_a_run(engine, "w")
    end = f"id: {now(engine)}"

    quiet = {tuple(stream.block())}
    while not any(end in block for block in quiet):
        quiet.add(tuple(stream.block()))
    given_a_run(engine, "w", namespace="shop")

    assert {block[0] for block in quiet} == {": still here"}
    assert start != end
    assert stream.events(1) == [("w", "workflow_started")]
    stream.close()


def test_a_stream_whose_cursor_is_lost_says_so_and_goes_on_from_now(client: FlaskClient, engine: Engine) -> None:
    given_a_run(engine, "before")
    cursor = now(engine)
    stream = Stream(client, headers={"Last-Event-ID": f"{'0' * 16}-1-1"})

    reset = stream.event()
    given_a_run(engine, "after")

    assert reset == {
        "id": cursor, "event": "reset",
        "data": '{"event_type":"reset","workflow_id":null,"payload":"{\\"reason\\":\\"another_database\\"}"}',
    }  # fmt: skip
    assert stream.events(1) == [("after", "workflow_started")]
    stream.close()


def test_a_stream_ends_with_a_word_when_the_process_is_about_to_end(stream: Stream, engine: Engine) -> None:
    stream.block()
    ending = Beside(stream.event)
    until(lambda: engine.feed.followers)

    engine.drain()

    assert ending.answer()["event"] == "drain"
    assert stream.is_over()


def test_a_stream_outlasts_a_database_that_is_away(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay_wsgi.domain.errors import Unavailable
    from assay_wsgi.engine import feed

    monkeypatch.setattr(feed, "LOOK_EVERY_SECS", 0.01)
    monkeypatch.setattr(feeds, "SIGN_OF_LIFE_SECS", 0.01)
    given_a_run(engine)
    stream = Stream(client, f"{STREAM}?last_event_id=oldest")
    stream.block()
    asked = threading.Event()

    def away(*_: Any) -> Any:
        asked.set()
        raise Unavailable("the database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(feed.feed, "page", away)
        while not asked.is_set():
            assert stream.block()[0] == ": still here"

    assert stream.events(1) == [("w", "workflow_started")]
    stream.close()


def test_followers_that_read_nothing_new_hold_no_compute_slot(client: FlaskClient, app: Flask, stream: Stream) -> None:
    stream.block()
    with app.app_context():
        slots = admission().computing

    taken = [slots.acquire(blocking=False) for _ in range(8)]

    assert taken == [True] * 8
    slots.release(8)


def test_so_many_streams_and_no_more(engine: Engine) -> None:
    client = create_app(Settings(http=HttpSettings(streams=2)), engine).test_client()
    streams = [Stream(client), Stream(client)]
    streams[0].block()

    refused = client.get(STREAM)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "too_many_streams")
    assert refused.headers["Retry-After"] == "1"

    for stream in streams:  # one was begun, one never
        stream.close()
    again = [Stream(client), Stream(client)]
    assert [stream.response.status_code for stream in again] == [200, 200]
    assert engine.feed.followers == 0
    for stream in again:
        stream.close()


def test_head_says_what_a_stream_would_be_and_takes_no_place(engine: Engine) -> None:
    client = create_app(Settings(http=HttpSettings(streams=0)), engine).test_client()

    response = client.head(STREAM)

    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Type"].startswith("text/event-stream")


@pytest.mark.parametrize("path", [EVENTS, STREAM])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("surprise=1", "invalid_filter"),
        ("type=workflow_begun", "invalid_filter"),
        ("type=", "invalid_filter"),
        ("type=workflow_started,", "invalid_filter"),
        ("type=workflow_started&type=workflow_failed", "invalid_filter"),
        ("namespace=", "invalid_id"),
        ("workflow_id=a%00b", "control_character"),
    ],
)
def test_what_narrows_nothing_is_refused(door: FlaskClient, path: str, query: str, code: str) -> None:
    refused = door.get(f"{path}?{query}")

    assert (refused.status_code, refused.get_json()["code"]) == (422, code)


@pytest.mark.parametrize("cursor", ["x", "1-1", "a-1-1-1", "a" * 121, "%00"])
def test_what_is_no_cursor_is_refused_everywhere(door: FlaskClient, cursor: str) -> None:
    for asked in (door.get(f"{EVENTS}?after={cursor}"), door.get(f"{STREAM}?last_event_id={cursor}")):
        assert (asked.status_code, asked.get_json()["code"]) == (422, "invalid_cursor")
    asked = door.get(STREAM, headers={"Last-Event-ID": cursor})
    assert (asked.status_code, asked.get_json()["code"]) == (422, "invalid_cursor")


def test_an_empty_last_event_id_is_none(door: FlaskClient) -> None:
    """A browser that was never told one leaves the header out; others send it empty."""
    stream = Stream(door, headers={"Last-Event-ID": ""})

    assert stream.response.status_code == 200
    stream.close()


def test_what_happens_to_a_run_is_streamed_as_it_happens(
    client: FlaskClient, worker: WorkerOverHttp, clock: Clock
) -> None:
    stream = Stream(client)
    stream.block()
    client.post("/api/v1/workflows", json={"workflow_type": "Hello", "workflow_id": "h"})
    assert stream.events(1) == [("h", "workflow_started")]
    task = worker.task()
    assert stream.events(1) == [("h", "workflow_running")]
    client.post("/api/v1/workflows/h/signal/go", json={"payload": 1})
    assert stream.events(1) == [("h", "signal_received")]
    clock.advance(1.0)
    client.post("/api/v1/workflows/h/terminate", json={})
    assert stream.events(1) == [("h", "workflow_terminated")]
    assert task["workflow_id"] == "h"
    stream.close()


def test_a_restored_database_is_told_to_streams_that_are_open(client: FlaskClient, engine: Engine) -> None:
    given_a_run(engine)
    stream = Stream(client, f"{STREAM}?last_event_id=oldest")
    stream.events(1)

    put(engine, "UPDATE meta SET value = ? WHERE name = 'epoch'", "a" * 16)

    reset = stream.event()
    assert (reset["event"], reset["id"].partition("-")[0]) == ("reset", "a" * 16)
    stream.close()
