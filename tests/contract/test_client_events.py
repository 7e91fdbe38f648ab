"""`client.events` against the service as it runs: all of it, in order, over kills; a word where that cannot be."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay_wsgi.sdk import Client
from assay_wsgi.sdk import FeedReset
from assay_wsgi.sdk import Invalid
from tests.processes import children
from tests.serving import ASSAY
from tests.serving import Process
from tests.serving import processes_in


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    directory = tmp_path_factory.mktemp("events")
    with processes_in(Path(directory)) as start:
        running = start(*ASSAY, "serve", "--backend", f"sqlite://{directory}/assay.db", "--port", "0")
        running.ready()
        yield running


@pytest.fixture
def client(service: Process) -> Iterator[Client]:
    with Client(f"http://{service.url()}", namespace=f"n-{os.urandom(4).hex()}") as opened:
        yield opened


def test_what_there_is_is_yielded_in_order_with_its_payloads_decoded(client: Client) -> None:
    handle = client.start("T", id="a")
    handle.signal("go", 1)
    handle.terminate()

    told = list(client.events("oldest", follow=False))

    assert [notice["event_type"] for notice in told] == ["workflow_started", "signal_received", "workflow_terminated"]
    assert {notice["payload"]["run_id"] for notice in told} == {handle.run_id}
    assert told[1]["payload"]["signal"] == "go"
    assert list(client.events(told[0]["id"], follow=False)) == told[1:]


def test_it_is_narrowed_by_id_and_types_and_to_the_namespace_unless_that_is_not_wanted(client: Client) -> None:
    for name in ("a", "b"):
        client.start("T", id=name).terminate()
    with Client(client._caller._url, namespace=f"{client.namespace}-other") as other:
        other.start("T", id="a")

    def ids(**wanted: object) -> list[str]:
        told = client.events("oldest", follow=False, **wanted)  # type: ignore[arg-type]
        return [notice["workflow_id"] for notice in told if client.namespace in notice["payload"]["namespace"]]

    assert ids() == ["a", "a", "b", "b"]
    assert ids(types=["workflow_terminated"]) == ["a", "b"]
    assert ids(workflow_id="b", types="workflow_started,workflow_terminated") == ["b", "b"]
    assert ids(everywhere=True) == ["a", "a", "b", "b", "a"]


def test_following_goes_on_when_the_web_process_is_killed(client: Client, service: Process) -> None:
    client.start("T", id="before")
    following = client.events("oldest", types="workflow_started")
    assert next(following)["workflow_id"] == "before"

    (web,) = children(service.child("gunicorn"))
    os.kill(web, signal.SIGKILL)
    client.start("T", id="after")

    assert next(following)["workflow_id"] == "after"


def test_who_begins_now_is_told_nothing_of_before(client: Client) -> None:
    client.start("T", id="before")

    assert list(client.events(follow=False)) == []


def test_a_cursor_that_is_lost_and_one_that_is_none_are_told_apart(client: Client) -> None:
    with pytest.raises(FeedReset, match="look at the runs anew") as lost:
        next(client.events("0-1-1"))
    with pytest.raises(Invalid) as wrong:
        next(client.events("yesterday"))

    assert lost.value.reason == "another_database"
    assert list(client.events(lost.value.cursor, follow=False)) == []
    assert wrong.value.code == "invalid_cursor"
