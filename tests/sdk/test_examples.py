"""The examples: driven by a worker against the service in memory, or replayed where a day must go by."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from assay_wsgi.sdk import Assay
from examples import deploy_approval
from examples import hello
from examples import nightly_report
from examples.checkout.workflow import Checkout
from examples.documents import feed
from examples.documents import workflow
from examples.documents.service import Desk
from examples.documents.service import make_server
from tests.sdk.histories import Past
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


def asked_to_deploy(**more: Any) -> Past:
    past = Past({"env": "prod", "version": "v1", **more}).done(1, "build", "image:v1")
    return past.timer(2, 24 * 3600).awaiting("approve", timer_seq=2).awaiting("step_action")


def test_a_deploy_waits_for_a_day() -> None:
    commands = (
        Past({"env": "prod", "version": "v1"}).done(1, "build", "i").turn(deploy_approval.ApproveAndDeploy).commands
    )

    assert [command["duration_secs"] for command in commands if command["type"] == "ScheduleTimer"] == [24 * 3600.0]


def test_a_deploy_that_nobody_approves_is_cancelled_when_the_day_is_over() -> None:
    past = asked_to_deploy().fired(2)

    assert past.unrolled(deploy_approval.ApproveAndDeploy).commands[-1] == {
        "type": "CancelWorkflow",
        "reason": "nobody approved it in 24 hours",
    }


def test_a_deploy_that_is_approved_by_signal_is_rolled_out_in_the_name_of_the_approver() -> None:
    past = asked_to_deploy().signal("approve", {"by": "alice"}).timer_cancelled(2)

    roll_out = past.turn(deploy_approval.ApproveAndDeploy).commands[-1]

    assert (roll_out["name"], roll_out["input"]["approver"]) == ("roll_out", "alice")


ORDER = {"id": "o1", "sku": "lamp", "cents": 100, "parcels": 2}


def names(past: Past) -> list[str]:
    return [command["name"] for command in past.turn(Checkout).commands]


def test_a_checkout_that_is_cancelled_while_it_charges_gives_the_money_back_all_the_same() -> None:
    past = Past(ORDER).done(1, "reserve", None).scheduled(2, "charge").cancel_requested("changed my mind")

    assert names(past) == ["refund"]
    assert names(past.done(3, "refund", None)) == ["release"]
    assert past.done(4, "release", None).unrolled(Checkout).commands == [
        {"type": "CancelWorkflow", "reason": "changed my mind"}
    ]


def test_a_checkout_of_which_one_parcel_fails_is_undone_from_its_end_once_the_others_have_ended() -> None:
    past = Past(ORDER).done(1, "reserve", None).done(2, "charge", "paid")
    past.child_started(3, "order-1-parcel-1", "ShipParcel").child_started(4, "order-1-parcel-2", "ShipParcel")
    past.child_failed(3, "order-1-parcel-1", "failed", "Undeliverable")

    assert names(past) == []
    past.child_completed(4, "order-1-parcel-2", "label-2")
    for number, step in enumerate(("recall", "refund", "release"), 5):
        assert names(past) == [step]
        past.done(number, step, None)
    assert past.unrolled(Checkout).commands[-1]["type"] == "FailWorkflow"


def test_what_is_owed_is_tried_again_without_end() -> None:
    past = Past(ORDER).done(1, "reserve", None).scheduled(2, "charge").failed(2, "charge", "declined")

    assert [(one["name"], one["max_attempts"]) for one in past.turn(Checkout).commands] == [("refund", 0)]


def test_a_report_of_several_nights_goes_on_with_the_next_one() -> None:
    past = Past({"day": "2026-02-28", "until": "2026-03-01"})
    for number, branch in enumerate(nightly_report.BRANCHES, 1):
        past.done(number, "ask_till", {"branch": branch, "sales": 1, "cents": 2})
    past.done(len(nightly_report.BRANCHES) + 1, "write_report", "reports/2026-02-28.csv")

    following = past.turn(nightly_report.NightlyReport).commands[-1]

    assert (following["type"], following["input"]) == ("ContinueAsNew", {"day": "2026-03-01", "until": "2026-03-01"})
