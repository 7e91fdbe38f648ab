"""The client: what it sends, what it makes of answers, when it asks again. A fake adapter stands for the network."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Client
from assay_wsgi.sdk import Conflict
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Invalid
from assay_wsgi.sdk import NotFound
from assay_wsgi.sdk import Unauthorized
from assay_wsgi.sdk import Unavailable
from assay_wsgi.sdk import WorkflowAlreadyStarted
from assay_wsgi.sdk import WorkflowCancelledError
from assay_wsgi.sdk import WorkflowClosed
from assay_wsgi.sdk import WorkflowFailed
from assay_wsgi.sdk import WorkflowTimedOut
from assay_wsgi.sdk.transport import Connection
from tests.processes import until

STARTED = {"workflow_id": "o-1", "run_id": "run-o-1-1", "status": "PENDING"}
LOST = requests.ConnectionError("reset by peer")


class Network(BaseAdapter):
    """Answers from a script; keeps what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.script: deque[Any] = deque()
        self.sent: list[requests.PreparedRequest] = []

    def answers(self, *script: Any) -> None:
        self.script.extend(script)

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        assert more["timeout"]
        self.sent.append(request)
        answer = self.script.popleft()
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer if isinstance(answer, tuple) else (200, answer)
        response = requests.Response()
        response.status_code = status
        response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response.headers.update(headers[0] if headers else {})
        response.url = request.url or ""
        return response

    def close(self) -> None:
        pass

    def bodies(self) -> list[Any]:
        return [json.loads(request.body or b"null") for request in self.sent]

    def paths(self) -> list[str]:
        return [f"{request.method} {request.path_url}" for request in self.sent]


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def client(network: Network, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    session = requests.Session()
    session.mount("http://", network)
    connection = Connection("http://engine:8080/", "secret", session)
    yield Client("http://engine:8080", namespace="shop", queue="q", connection=connection)
    connection.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("assay_wsgi.sdk.caller.time.sleep", slept.append)
    return slept


@dataclass
class Order:
    sku: str


@dataclass
class Receipt:
    total: int


app = Assay()


@app.workflow(queue="orders")
def Buy(ctx: Context, order: Order) -> Receipt:
    return Receipt(1)


def test_a_start_names_all_that_it_was_given(client: Client, network: Network) -> None:
    network.answers((201, STARTED))

    handle = client.start(Buy, Order("a"), id="o-1", search_attributes={"env": "prod"}, id_conflict="use_existing")

    assert (handle.workflow_id, handle.run_id) == ("o-1", "run-o-1-1")
    assert network.bodies() == [
        {
            "workflow_type": "Buy",
            "namespace": "shop",
            "task_queue": "orders",
            "input": {"sku": "a"},
            "workflow_id": "o-1",
            "search_attributes": {"env": "prod"},
            "id_conflict": "use_existing",
        }
    ]
    (request,) = network.sent
    assert request.url == "http://engine:8080/api/v1/workflows"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["Idempotency-Key"]


def test_a_start_by_name_goes_to_the_clients_queue(client: Client, network: Network) -> None:
    network.answers((201, STARTED))

    client.start("Sell", None)

    assert network.bodies() == [{"workflow_type": "Sell", "namespace": "shop", "task_queue": "q"}]
    with pytest.raises(TypeError, match="no such option of a start: ide"):
        client.start("Sell", ide="typo")


@app.workflow(name="transfer", run_timeout=timedelta(minutes=1), execution_timeout=3600)
def Transfer(ctx: Context, source: str, amount: int, note: str = "") -> str:
    return note


def test_arguments_become_the_input_as_the_workflow_names_them(client: Client, network: Network) -> None:
    network.answers(*[(201, STARTED)] * 3)

    client.start(Transfer, "a", 3)
    client.start(Transfer.prepare("a", note="n", amount=3), run_timeout=None)
    client.start(Transfer.options(queue="money", execution_timeout=None), "a", 3, "n", queue=None)

    plain, prepared, changed = network.bodies()
    assert (plain["workflow_type"], plain["task_queue"], plain["input"]) == (
        "transfer",
        "q",
        {"source": "a", "amount": 3},
    )
    assert (plain["run_timeout_secs"], plain["execution_timeout_secs"]) == (60.0, 3600.0)
    assert prepared["input"] == changed["input"] == {"source": "a", "amount": 3, "note": "n"}
    assert "run_timeout_secs" not in prepared
    assert changed["task_queue"] == "money"
    assert "execution_timeout_secs" not in changed


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (lambda client: client.start(len, "abc"), "is no workflow: decorate the function with @app.workflow"),
        (lambda client: client.start(Buy), "missing a required argument: 'order'"),
        (lambda client: client.start(Buy, Order("a"), 2), "too many positional arguments"),
        (lambda client: client.start(Buy.prepare(Order("a")), 2), "'Buy' was prepared with its arguments"),
        (lambda client: client.start(Transfer, source="a"), r"source \(parameters are named in a call"),
        (lambda client: client.start("Sell", 1, 2), "takes one argument"),
    ],
)
def test_a_start_that_does_not_fit_its_workflow_is_not_sent(client: Client, start: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        start(client)


def test_a_start_may_have_a_key_that_outlives_its_process(client: Client, network: Network) -> None:
    network.answers((201, STARTED))

    client.start(Buy, Order("a"), idempotency_key="order-1")

    assert network.sent[0].headers["Idempotency-Key"] == "order-1"
    assert "idempotency_key" not in network.bodies()[0]


@pytest.mark.parametrize("trouble", [LOST, (503, {"error": "busy", "code": "store_busy"}), (502, b"<html>")])
def test_a_start_is_repeated_with_the_same_key(
    client: Client, network: Network, pauses: list[float], trouble: Any
) -> None:
    network.answers(trouble, trouble, (201, STARTED))

    assert client.start("Buy").run_id == "run-o-1-1"

    assert len({request.headers["Idempotency-Key"] for request in network.sent}) == 1
    assert len(pauses) == 2


def test_the_service_says_when_to_come_again(client: Client, network: Network, pauses: list[float]) -> None:
    network.answers((503, {"error": "busy"}, {"Retry-After": "7"}), (201, STARTED))

    client.start("Buy")

    assert pauses == [7.0]


def test_patience_ends(network: Network, client: Client, pauses: list[float]) -> None:
    client._caller.patience = 0.0
    network.answers(LOST)

    with pytest.raises(Unavailable, match="no answer from http://engine:8080"):
        client.start("Buy")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (409, "workflow_already_started", WorkflowAlreadyStarted),
        (409, "workflow_closed", WorkflowClosed),
        (409, "ambiguous_namespace", Conflict),
        (404, "not_found", NotFound),
        (422, "invalid_id", Invalid),
        (401, "unauthorized", Unauthorized),
    ],
)
def test_refusals_are_errors_of_their_own_and_are_not_repeated(
    client: Client, network: Network, status: int, code: str, error: type[Exception]
) -> None:
    network.answers((status, {"error": "the reason", "code": code, "run_id": "run-9"}))

    with pytest.raises(error, match=rf"the reason \({status} {code}\)") as caught:
        client.start("Buy")

    assert type(caught.value) is error
    if isinstance(caught.value, WorkflowAlreadyStarted):
        assert caught.value.run_id == "run-9"


def test_many_starts_go_a_thousand_to_a_request_in_order(client: Client, network: Network) -> None:
    def outcomes(ids: range) -> dict[str, Any]:
        return {"results": [{"workflow_id": f"o-{n}", "run_id": f"r-{n}", "status": "PENDING"} for n in ids]}

    network.answers(outcomes(range(1000)), outcomes(range(1000, 1200)))

    results = client.start_many({"workflow": Buy, "input": Order(str(n)), "id": f"o-{n}"} for n in range(1200))

    assert [one["run_id"] for one in results] == [f"r-{n}" for n in range(1200)]
    first, second = network.bodies()
    assert (len(first["workflows"]), len(second["workflows"])) == (1000, 200)
    assert first["workflows"][7] == {
        "workflow_type": "Buy",
        "namespace": "shop",
        "task_queue": "orders",
        "input": {"sku": "7"},
        "workflow_id": "o-7",
    }


def test_a_batch_tells_its_own_runs_from_those_of_others(client: Client, network: Network) -> None:
    taken = {"error": "is open", "code": "workflow_already_started", "run_id": "r-1"}
    network.answers({"results": [taken, taken]})

    ours, theirs = client.start_many([{"workflow": "Buy"}, {"workflow": "Buy", "id": "o-1"}])

    assert ours["run_id"] == "r-1"
    assert ours["workflow_id"].startswith("wf-buy-")
    assert theirs["code"] == "workflow_already_started"


def record(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "o-1", "run_id": "run-o-1-1", "status": status, "input": '{"sku": "a"}', "result": None, **more}


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
        (lambda run: run.cancel("enough"), "/cancel", {"reason": "enough"}),
        (lambda run: run.terminate(), "/terminate", {"reason": None}),
    ],
    ids=["signal", "cancel", "terminate"],
)
def test_what_is_done_to_a_run_is_done_once(
    client: Client, network: Network, pauses: list[float], act: Callable[[Any], None], path: str, body: Any
) -> None:
    network.answers(LOST, {"ok": True})

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


def test_a_list_follows_the_cursor(client: Client, network: Network) -> None:
    link = {"Link": '</api/v1/workflows?cursor=c2&limit=100>; rel="next"'}
    network.answers((200, [record("RUNNING")], link), (200, [record("FAILED")]))

    found = list(client.list(status="RUNNING", search_attrs={"env": "prod"}))

    assert [one["input"] for one in found] == [{"sku": "a"}, {"sku": "a"}]
    assert "search_attrs=%7B%22env%22%3A%22prod%22%7D" in network.paths()[0]
    assert "cursor=c2" in network.paths()[1]


def test_a_list_may_be_limited_in_number_and_time(client: Client, network: Network) -> None:
    link = {"Link": '</api/v1/workflows?cursor=c2>; rel="next"'}
    network.answers((200, [record("RUNNING")] * 3, link))

    found = list(client.list(limit=2, created_after=datetime(1970, 1, 2, tzinfo=UTC), closed_before=5.5))

    assert len(found) == 2
    assert "created_after=86400.0" in network.paths()[0]
    assert "closed_before=5.5" in network.paths()[0]
    assert list(client.list(limit=0)) == []
    with pytest.raises(ValueError, match=r"created_before: .* has no time zone"):
        list(client.list(created_before=datetime(1970, 1, 2)))  # noqa: DTZ001


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


def test_a_list_without_a_cursor_is_read_to_its_end(client: Client, network: Network) -> None:
    full = [{"id": f"w-{n}", "workflows": '["Buy"]', "activities": None} for n in range(1000)]
    network.answers(full, full[:1], [{"queue": "q"}], {"id": 7, "input": "[1]", "result": None}, {"version": "1"})

    workers = list(client.workers())

    assert len(workers) == 1001
    assert workers[0]["workflows"] == ["Buy"]
    assert "offset=1000" in network.paths()[1]
    assert list(client.queues()) == [{"queue": "q"}]
    assert client.activity(7)["input"] == [1]
    assert client.version() == {"version": "1"}


def test_a_full_namespace_is_deleted_answer_by_answer(client: Client, network: Network, pauses: list[float]) -> None:
    network.answers((202, {"ok": True, "done": False, "deleted_workflows": 5}), LOST)
    network.answers({"ok": True, "done": True, "deleted_workflows": 2})
    heard: list[int] = []

    assert client.namespaces.delete("old/1", force=True, progress=heard.append) == 7

    assert heard == [5, 7]
    assert network.paths() == ["DELETE /api/v1/namespaces/old%2F1?force=true"] * 3
    first, lost, last = (request.headers["Idempotency-Key"] for request in network.sent)
    assert first != lost == last


def test_namespaces_are_made_listed_and_counted(client: Client, network: Network) -> None:
    network.answers((201, {"name": "a"}), [{"name": "a"}, {"name": "main"}], {"running": 1}, {"ok": True, "done": True})

    assert client.namespaces.create("a") == {"name": "a"}
    assert [one["name"] for one in client.namespaces.list()] == ["a", "main"]
    assert client.namespaces.stats("a") == {"running": 1}
    assert client.namespaces.delete("a") == 0
    assert network.paths()[3] == "DELETE /api/v1/namespaces/a"


class Greeter(BaseHTTPRequestHandler):
    """Keeps connections alive, and counts them."""

    protocol_version = "HTTP/1.1"
    connected = 0

    def do_GET(self) -> None:
        type(self).connected += 1
        text = b'{"version": "1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def finish(self) -> None:
        super().finish()
        type(self).connected -= 1

    def log_message(self, *_: Any) -> None:
        pass


def test_leaving_a_client_closes_its_connection() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Greeter)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()

    with Client(f"http://127.0.0.1:{server.server_port}") as client:
        assert client.version() == {"version": "1"}
        assert Greeter.connected == 1

    until(lambda: Greeter.connected == 0)
    server.shutdown()
    serving.join()
    server.server_close()


def test_the_state_is_what_the_queries_show(client: Client, network: Network) -> None:
    network.answers({"state": {"stage": "new"}, "event_seq": 3}, {"value": "new", "event_seq": 3})
    handle = client.handle("o-1")

    assert handle.state() == {"stage": "new"}
    assert handle.state("stage") == "new"
    assert network.paths()[1] == "GET /api/v1/workflows/o-1/state/stage?namespace=shop"


def test_a_page_that_is_not_the_service_is_not_an_answer(client: Client, network: Network, pauses: list[float]) -> None:
    client._caller.patience = 0.0
    network.answers((200, b"<html>welcome</html>"))

    with pytest.raises(Unavailable, match="200 without JSON"):
        client.handle("o-1").describe()


def test_a_netrc_does_not_replace_the_token(
    client: Client, network: Network, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine engine login mallory password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    network.answers(record("RUNNING"))

    client.handle("o-1").describe()

    assert network.sent[0].headers["Authorization"] == "Bearer secret"


# --------------------------------------------------------------------------- time-outs and chains


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
