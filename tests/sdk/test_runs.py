"""The handle of a run: its result, its history, what is done to it, and the runs that continue it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from assay_wsgi.sdk import Client
from assay_wsgi.sdk import WorkflowCancelledError
from assay_wsgi.sdk import WorkflowFailed
from assay_wsgi.sdk import WorkflowTimedOut
from tests.sdk.network import LOST
from tests.sdk.network import STARTED
from tests.sdk.network import Buy
from tests.sdk.network import Network
from tests.sdk.network import Order
from tests.sdk.network import Receipt
from tests.sdk.network import Transfer
from tests.sdk.network import record


def test_a_result_is_waited_for_and_decoded(client: Client, network: Network, pauses: list[float]) -> None:
    network.answers((201, STARTED), record("PENDING"), record("RUNNING"))
    network.answers(record("COMPLETED", result='{"total": 5}'))

    result = client.start(Buy, Order("a")).result(timeout=60)

    assert result == Receipt(5)
    assert pauses == sorted(pauses)
    assert network.paths()[1] == "GET /api/v1/workflows/o-1?namespace=shop&run_id=run-o-1-1"


@pytest.mark.parametrize(
    ("end", "error", "says"),
    [
        (record("FAILED", error="no money", close_reason="failed"), WorkflowFailed, "'o 1/2' failed: no money"),
        (record("FAILED", error="gone", close_reason="terminated"), WorkflowFailed, "terminated: gone"),
        (record("TIMED_OUT", error=None), WorkflowTimedOut, "timed out$"),
        (record("CANCELLED"), WorkflowCancelledError, "was cancelled"),
    ],
)
def test_other_ends_are_raised(client: Client, network: Network, end: Any, error: type[Exception], says: str) -> None:
    network.answers(end)

    with pytest.raises(error, match=says):
        client.handle("o 1/2").result()

    assert network.paths() == ["GET /api/v1/workflows/o%201%2F2?namespace=shop"]


def test_a_result_that_does_not_come_in_time(client: Client, network: Network, pauses: list[float]) -> None:
    network.answers(record("RUNNING"))

    with pytest.raises(TimeoutError, match="still RUNNING"):
        client.handle("o-1").result(timeout=0)


@pytest.mark.parametrize(
    ("act", "path", "body"),
    [
        (
            lambda run: run.signal("go on", {"by": 1}, "s-1"),
            "/signal/go%20on",
            {"payload": {"by": 1}, "signal_id": "s-1"},
        ),
        (lambda run: run.retry_now(activities=False), "/retry-now", {"activities": False}),
        (lambda run: run.cancel("enough"), "/cancel", {"reason": "enough"}),
        (lambda run: run.terminate(), "/terminate", {"reason": None}),
    ],
    ids=["signal", "retry-now", "cancel", "terminate"],
)
def test_what_is_done_to_a_run_is_done_once(
    client: Client, network: Network, pauses: list[float], act: Callable[[Any], None], path: str, body: Any
) -> None:
    network.answers(LOST, {"ok": True, "task": True, "activities": 0})

    act(client.handle("o-1", run_id="r-1"))

    assert network.bodies() == [body, body]
    assert network.paths()[0] == f"POST /api/v1/workflows/o-1{path}?namespace=shop&run_id=r-1"
    assert len({request.headers["Idempotency-Key"] for request in network.sent}) == 1


def test_a_signal_gets_an_id_of_its_own(client: Client, network: Network) -> None:
    network.answers({"ok": True}, {"ok": True})
    handle = client.handle("o-1")

    handle.signal("go")
    handle.signal("go")

    first, second = network.bodies()
    assert first["signal_id"] != second["signal_id"]


def event(seq: int) -> dict[str, Any]:
    return {"seq": seq, "event_type": "X", "payload": '{"n": 1}'}


def test_events_come_page_by_page_decoded(client: Client, network: Network) -> None:
    link = {"Link": '</api/v1/workflows/o-1/events?limit=1000&after_seq=2>; rel="next"'}
    network.answers(record("RUNNING"), (200, [event(1), event(2)], link), [event(3)])

    events = list(client.handle("o-1").events())

    assert [one["seq"] for one in events] == [1, 2, 3]
    assert events[0]["payload"] == {"n": 1}
    assert network.paths()[2].endswith("run_id=run-o-1-1&after_seq=2&limit=1000")


def test_a_history_is_followed_until_its_run_is_closed(client: Client, network: Network, pauses: list[float]) -> None:
    network.answers(record("RUNNING"), [event(1)], record("RUNNING"), [], record("RUNNING"), [event(2)])
    network.answers(record("TIMED_OUT"), [event(3)])

    events = list(client.handle("o-1", run_id="r-1").events(follow=True))

    assert [one["seq"] for one in events] == [1, 2, 3]
    assert len(pauses) == 3
    assert pauses[1] > pauses[2]


def test_a_run_is_executed_and_its_result_returned(client: Client, network: Network, pauses: list[float]) -> None:
    network.answers((201, STARTED), record("RUNNING"), record("COMPLETED", result='{"total": 5}'))

    assert client.execute(Buy, Order("a"), id="o-1", timeout=timedelta(minutes=1)) == Receipt(5)

    assert network.bodies()[0]["workflow_id"] == "o-1"


def test_a_handle_that_knows_its_workflow_reads_its_result(client: Client, network: Network) -> None:
    network.answers(record("COMPLETED", result='{"total": 5}'), {"value": {"total": 6}})

    assert client.handle("o-1", Buy).result() == Receipt(5)
    assert client.handle("o-1").query("receipt", Receipt) == Receipt(6)


def test_a_run_is_signalled_or_started_with_the_signal(client: Client, network: Network, pauses: list[float]) -> None:
    network.answers(LOST, (201, STARTED))

    handle = client.signal_with_start(Buy, Order("a"), id="o/1", signal="add", payload={"n": 1}, queue="q2")

    first, second = network.bodies()
    assert first.pop("signal_id")
    assert first == {
        "workflow_type": "Buy",
        "namespace": "shop",
        "task_queue": "q2",
        "input": {"sku": "a"},
        "signal": "add",
        "payload": {"n": 1},
    }
    assert second["signal"] == "add"
    assert network.paths()[0] == "POST /api/v1/workflows/o%2F1/signal-with-start"
    assert len({request.headers["Idempotency-Key"] for request in network.sent}) == 1
    assert handle.run_id == "run-o-1-1"


def test_a_run_is_continued_with_an_input_or_as_another_workflow(client: Client, network: Network) -> None:
    network.answers((201, {**STARTED, "run_id": "r-2"}), (201, {**STARTED, "run_id": "r-3"}))
    network.answers(record("COMPLETED", result='{"total": 5}', workflow_type="Buy"))

    again = client.handle("o-1", Buy, run_id="r-1").continue_as_new(Order("b"))
    client.handle("o-1").continue_as_new(Transfer.prepare("a", 1), id="t-1", queue="q3")

    assert (again.run_id, again.result()) == ("r-2", Receipt(5))
    first, second, _ = network.bodies()
    assert first == {"input": {"sku": "b"}}
    assert second == {
        "workflow_id": "t-1",
        "task_queue": "q3",
        "workflow_type": "transfer",
        "input": {"source": "a", "amount": 1},
    }


def test_children_and_trees_are_decoded_to_the_last_run(client: Client, network: Network) -> None:
    link = {"Link": '</api/v1/workflows/o-1/children?cursor=c2>; rel="next"'}
    leaf = {**record("RUNNING"), "children": []}
    tree = {**record("RUNNING"), "children": [{**record("RUNNING"), "children": [leaf]}], "truncated": False}
    network.answers((200, [record("RUNNING")], link), (200, [record("FAILED")]), tree)
    handle = client.handle("o-1")

    assert [one["status"] for one in handle.children()] == ["RUNNING", "FAILED"]
    found = handle.tree(limit=7)

    assert "cursor=c2" in network.paths()[1]
    assert network.paths()[2] == "GET /api/v1/workflows/o-1/tree?namespace=shop&limit=7"
    assert found["children"][0]["children"][0]["input"] == {"sku": "a"}
    assert found["truncated"] is False


def test_the_state_is_what_the_queries_show(client: Client, network: Network) -> None:
    network.answers({"state": {"stage": "new"}, "event_seq": 3}, {"value": "new", "event_seq": 3})
    handle = client.handle("o-1")

    assert handle.state() == {"stage": "new"}
    assert handle.state("stage") == "new"
    assert network.paths()[1] == "GET /api/v1/workflows/o-1/state/stage?namespace=shop"


def test_a_start_may_limit_the_run_and_its_chain(client: Client, network: Network) -> None:
    network.answers((201, STARTED), (200, {"results": [STARTED]}))

    client.start(Buy, Order("a"), run_timeout=60, execution_timeout=timedelta(hours=1))
    client.start_many([{"workflow": Buy, "input": Order("a"), "id": "o-2", "run_timeout": timedelta(seconds=5)}])

    one, many = network.bodies()
    assert (one["run_timeout_secs"], one["execution_timeout_secs"]) == (60.0, 3600.0)
    assert many["workflows"][0]["run_timeout_secs"] == 5.0


def test_a_run_that_took_too_long_is_raised_as_such(client: Client, network: Network) -> None:
    network.answers(record("TIMED_OUT", error="timed out: execution", close_reason="timed_out"))

    with pytest.raises(WorkflowTimedOut, match=r"^workflow 'o-1' timed out: execution$") as caught:
        client.handle("o-1").result()

    assert (caught.value.run_id, caught.value.close_reason) == ("run-o-1-1", "timed_out")


def continued(number: int, workflow_id: str = "o-1", workflow_type: str = "Buy") -> tuple[Any, Any]:
    """A record of a run that was continued, and its last event."""
    last = {
        "new_run_id": f"run-{workflow_id}-{number + 1}",
        "workflow_id": workflow_id,
        "workflow_type": workflow_type,
        "input": None,
    }
    closed = record("COMPLETED", close_reason="continued_as_new", last_seq=9, continued_to=last["new_run_id"])
    event = {"seq": 9, "event_type": "WorkflowContinuedAsNew", "payload": json.dumps(last), "timestamp": 1.0}
    return {**closed, "run_id": f"run-o-1-{number}", "workflow_type": "Buy"}, [event]


def test_a_result_is_that_of_the_last_run_of_the_chain(client: Client, network: Network, pauses: list[float]) -> None:
    network.answers((201, STARTED), *continued(1), *continued(2, "o-9"), record("RUNNING"))
    network.answers(record("COMPLETED", result='{"total": 7}', workflow_type="Buy"))

    result = client.start(Buy, Order("a")).result(timeout=60)

    assert result == Receipt(7)
    assert network.paths()[1:] == [
        "GET /api/v1/workflows/o-1?namespace=shop&run_id=run-o-1-1",
        "GET /api/v1/workflows/o-1/events?namespace=shop&run_id=run-o-1-1&after_seq=8&limit=1000",
        "GET /api/v1/workflows/o-1?namespace=shop&run_id=run-o-1-2",
        "GET /api/v1/workflows/o-1/events?namespace=shop&run_id=run-o-1-2&after_seq=8&limit=1000",
        "GET /api/v1/workflows/o-9?namespace=shop&run_id=run-o-9-3",
        "GET /api/v1/workflows/o-9?namespace=shop&run_id=run-o-9-3",
    ]
    assert len(pauses) == 1


def test_a_chain_that_ends_as_another_workflow_gives_its_result_as_it_is(client: Client, network: Network) -> None:
    network.answers((201, STARTED), *continued(1, workflow_type="Other"))
    network.answers(record("COMPLETED", result='{"total": 7}', workflow_type="Other"))

    assert client.start(Buy, Order("a")).result() == {"total": 7}


def test_an_error_names_the_run_of_the_chain_that_failed(client: Client, network: Network) -> None:
    network.answers(*continued(1, "o-9"), {**record("FAILED", error="no"), "run_id": "run-o-9-2"})

    with pytest.raises(WorkflowFailed, match="workflow 'o-9' failed: no") as caught:
        client.handle("o-1").result()

    assert caught.value.run_id == "run-o-9-2"
