"""The client: what it sends, what it makes of answers, when it asks again. A fake adapter stands for the network."""

from __future__ import annotations

import threading
from datetime import UTC
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from assay_wsgi.sdk import Client
from assay_wsgi.sdk import Conflict
from assay_wsgi.sdk import Invalid
from assay_wsgi.sdk import NotFound
from assay_wsgi.sdk import Unauthorized
from assay_wsgi.sdk import Unavailable
from assay_wsgi.sdk import WorkflowAlreadyStarted
from assay_wsgi.sdk import WorkflowClosed
from tests.processes import until
from tests.sdk.network import LOST
from tests.sdk.network import STARTED
from tests.sdk.network import Buy
from tests.sdk.network import Network
from tests.sdk.network import Order
from tests.sdk.network import Transfer
from tests.sdk.network import record


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


def test_runs_are_counted_all_together_or_by_group(client: Client, network: Network) -> None:
    groups = [{"value": None, "count": 2}, {"value": "completed", "count": 1}]
    network.answers({"count": 3}, {"count": 3, "group_by": "close_reason", "groups": groups, "truncated": False})

    assert client.count(q="n = 1", search_attrs={"env": "prod"}) == 3
    assert client.count(group_by="close_reason") == {None: 2, "completed": 1}

    assert network.paths() == [
        "GET /api/v1/workflows/count?namespace=shop&q=n+%3D+1&search_attrs=%7B%22env%22%3A%22prod%22%7D",
        "GET /api/v1/workflows/count?namespace=shop&group_by=close_reason",
    ]


def test_a_list_without_a_cursor_is_read_to_its_end(client: Client, network: Network) -> None:
    full = [{"id": f"w-{n}", "workflows": '["Buy"]', "activities": None} for n in range(1000)]
    network.answers(
        full,
        full[:1],
        [{"queue": "q"}],
        [{"queue": "late"}],
        {"id": 7, "input": "[1]", "result": None},
        {"version": "1"},
    )

    workers = list(client.workers())

    assert len(workers) == 1001
    assert workers[0]["workflows"] == ["Buy"]
    assert "offset=1000" in network.paths()[1]
    assert list(client.queues()) == [{"queue": "q"}]
    assert list(client.backlog()) == [{"queue": "late"}]
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
