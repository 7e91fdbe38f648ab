"""The examples, driven by a worker against the service in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from assay_wsgi.sdk import Assay
from examples import hello
from examples.documents import feed
from examples.documents import workflow
from examples.documents.service import Desk
from examples.documents.service import make_server
from tests.sdk.service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.shut()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The unreliable service, listening; its first answers to each document are failures."""
    server = make_server(port=0, script=["503", "drop", "500", "ok"])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("DOCUMENTS_SERVICE_URL", f"http://127.0.0.1:{server.server_port}")
    yield server.RequestHandlerClass.desk  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def working(service: Service, request: pytest.FixtureRequest) -> Iterator[None]:
    app: Assay = request.param
    worker = app.worker(connect=service.connect)
    worker.start()
    yield
    worker.stop()


@pytest.mark.parametrize("working", [hello.app], indirect=True)
def test_hello(service: Service, working: None) -> None:
    run = service.until_closed(service.start("GreetWorkflow", "h1", {"who": "Ada"}))

    assert run.result == {"greeting": "hello, Ada"}


@pytest.mark.parametrize("working", [workflow.app], indirect=True)
def test_documents_are_approved_through_an_unreliable_service(service: Service, working: None, desk: Desk) -> None:
    documents = [json.loads(line) for line in feed.DOCUMENTS.read_text().splitlines()][:14]
    runs = [service.start("ApproveDocument", one["id"], one) for one in documents]
    for run in runs:
        service.until(lambda run=run: run.state and run.state["stage"] == "waiting for approval")
    for number, run in enumerate(runs, 1):
        service.signal(run, "approve", vars(feed.decision(number)))
    for run in runs:
        service.until_closed(run)

    assert [run.result["status"] for run in runs] == (["published"] * 6 + ["rejected"]) * 2
    assert runs[0].result["url"].endswith("/doc-0001")
    assert runs[0].state["stage"] == "published"
    assert runs[6].state["stage"] == "rejected"
    assert desk.happened["check 503"] > 0
    assert desk.happened["publish drop"] > 0


def test_there_are_two_hundred_documents_of_their_own() -> None:
    documents = list(feed.documents())

    assert len({one.id for one in documents}) == 200
    assert all(one.title and one.author and one.pages for one in documents)
