"""GET: describe, list, events, state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from typing import Any

import pytest
from flask.testing import FlaskClient

from assay_wsgi.api import records

if TYPE_CHECKING:
    from tests.api.played_worker import WorkerOverHttp
    from tests.conftest import Clock

URL = "/api/v1/workflows"


def start(client: FlaskClient, workflow_id: str, **more: Any) -> dict[str, Any]:
    response = client.post(URL, json={"workflow_type": "Hello", "workflow_id": workflow_id, **more})
    assert response.status_code == 201, response.text
    started: dict[str, Any] = response.get_json()
    return started


def ids(client: FlaskClient, **query: Any) -> list[str]:
    response = client.get(URL, query_string=query)
    assert response.status_code == 200, response.text
    return [record["id"] for record in response.get_json()]


def test_a_record_has_the_references_fields_and_ours(client: FlaskClient) -> None:
    started = start(client, "a", input=[1], search_attributes={"customer": "x"})

    record = client.get(f"{URL}/a").get_json()

    assert set(records.RunRecord().fields) <= set(record)
    assert {"parent_id", "claimed_by", "archived_at", "archive_uri", "paused", "waiting_for"} <= set(record)
    assert (record["id"], record["run_id"], record["status"]) == ("a", started["run_id"], "PENDING")
    assert (record["input"], record["result"], record["error"]) == ("[1]", None, None)
    assert json.loads(record["search_attributes"])["customer"] == "x"
    assert (record["created_at"], record["completed_at"]) == (1_700_000_000.0, None)


@pytest.mark.parametrize("path", ["/a", "/a/events", "/a/state"])
def test_an_unknown_run_is_404(client: FlaskClient, path: str) -> None:
    response = client.get(URL + path)

    assert (response.status_code, response.get_json()["code"]) == (404, "not_found")
    assert response.get_json()["error"].startswith("not found: ")


def test_a_run_is_looked_up_over_all_namespaces_unless_one_is_named(client: FlaskClient) -> None:
    start(client, "one", namespace="east")
    start(client, "two", namespace="east")
    start(client, "two", namespace="west")

    assert client.get(f"{URL}/one").get_json()["namespace"] == "east"
    assert client.get(f"{URL}/two?namespace=west").get_json()["namespace"] == "west"
    assert client.get(f"{URL}/one?namespace=west").status_code == 404
    ambiguous = client.get(f"{URL}/two")
    assert (ambiguous.status_code, ambiguous.get_json()["code"]) == (409, "ambiguous_namespace")


def test_run_id_picks_one_run_of_an_id(client: FlaskClient, clock: Clock) -> None:
    first = start(client, "a")
    client.post(f"{URL}/a/terminate")
    clock.advance(1)
    second = start(client, "a")

    assert client.get(f"{URL}/a").get_json()["run_id"] == second["run_id"]
    assert client.get(f"{URL}/a?run_id={first['run_id']}").get_json()["status"] == "FAILED"
    assert client.get(f"{URL}/a?run_id=run-a-none").status_code == 404
    assert [e["event_type"] for e in client.get(f"{URL}/a/events?run_id={first['run_id']}").get_json()] == [
        "WorkflowStarted",
        "WorkflowTerminated",
    ]


@pytest.mark.parametrize(
    "workflow_id", ["with space", "ümläut", "a?b#c%d", "a+b", "%41", "\U0001f600", "a:b@c;d=e", "x" * 255]
)
def test_any_id_without_a_slash_is_found_again(client: FlaskClient, workflow_id: str) -> None:
    from urllib.parse import quote

    start(client, workflow_id)

    assert client.get(f"{URL}/{quote(workflow_id, safe='')}").get_json()["id"] == workflow_id


def test_an_id_is_found_as_an_old_client_sends_it_unencoded(client: FlaskClient) -> None:
    start(client, "a b:c@d")

    response = client.open(environ_overrides={"PATH_INFO": f"{URL}/a b:c@d", "REQUEST_METHOD": "GET"})
    assert response.get_json()["id"] == "a b:c@d"


def test_the_list_is_a_bare_array_newest_first(client: FlaskClient, clock: Clock) -> None:
    for workflow_id in ("a", "b", "c"):
        start(client, workflow_id)
        clock.advance(1)
    start(client, "elsewhere", namespace="east")

    assert ids(client) == ["c", "b", "a"]
    assert ids(client, namespace="east") == ["elsewhere"]
    assert ids(client, limit=2) == ["c", "b"]
    assert ids(client, limit=2, offset=2) == ["a"]
    assert ids(client, created_after=1_700_000_000.5, created_before=1_700_000_001.5) == ["b"]


def test_pages_follow_the_link_header_to_the_end(client: FlaskClient) -> None:
    for number in range(7):
        start(client, f"r-{number}", search_attributes={"k": "ü&="})

    seen = []
    url = f"{URL}?limit=3&search_attrs=%7B%22k%22:%22%C3%BC%26%3D%22%7D"
    while url:
        response = client.get(url)
        seen += [record["id"] for record in response.get_json()]
        link = response.headers.get("Link", "")
        assert not link or link.endswith('>; rel="next"')
        url = link.partition(">")[0].lstrip("<")

    assert seen == [f"r-{number}" for number in reversed(range(7))]


def test_the_list_filters_by_status_type_and_attributes(client: FlaskClient) -> None:
    start(client, "open", search_attributes={"customer": "a", "n": 1})
    start(client, "gone", workflow_type="Bye", search_attributes={"customer": "a", "n": 2})
    client.post(f"{URL}/gone/terminate")

    assert ids(client, status="PENDING") == ["open"]
    assert ids(client, status="FAILED") == ["gone"]
    assert ids(client, status="TIMED_OUT") == []
    assert ids(client, type="Bye") == ["gone"]
    assert ids(client, search_attrs='{"customer": "a", "n": 1}') == ["open"]
    assert ids(client, search_attrs='{"customer": "b"}') == []
    assert ids(client, closed_after=1_600_000_000) == ["gone"]
    assert ids(client, claimed_by="w-none") == ids(client, parent_id="none") == []


def test_the_list_is_filtered_and_ordered_by_a_filter_of_the_language(client: FlaskClient) -> None:
    for number in range(1, 4):
        start(client, f"r-{number}", workflow_type="O'Neill", search_attributes={"n": -number, "odd.name": "ü"})
    start(client, "other", search_attributes={"n": 9})

    assert ids(client, q="WorkflowType = 'O''Neill' AND `odd.name` = 'ü' ORDER BY n") == ["r-3", "r-2", "r-1"]
    assert ids(client, q="n BETWEEN -2 AND 9", status="PENDING") == ["other", "r-2", "r-1"]
    assert ids(client, q="n < 0", type="Hello") == []
    page = client.get(URL, query_string={"q": "ORDER BY n DESC", "limit": 3})
    assert [record["id"] for record in page.get_json()] == ["other", "r-1", "r-2"]
    following = page.headers["Link"].partition(">")[0].lstrip("<")
    assert [record["id"] for record in client.get(following).get_json()] == ["r-3"]


def test_runs_are_counted_with_the_filters_of_the_list(client: FlaskClient) -> None:
    start(client, "open", search_attributes={"n": 1})
    start(client, "gone", workflow_type="Bye")
    client.post(f"{URL}/gone/terminate")

    def counted(**query: Any) -> Any:
        return client.get(f"{URL}/count", query_string=query).get_json()

    assert counted() == {"count": 2}
    assert counted(status="FAILED", q="WorkflowType = 'Bye'") == {"count": 1}
    assert counted(search_attrs='{"n": 1}', type="Bye") == {"count": 0}
    assert counted(group_by="close_reason") == {
        "count": 2, "group_by": "close_reason", "truncated": False,
        "groups": [{"value": None, "count": 1}, {"value": "terminated", "count": 1}],
    }  # fmt: skip
    assert counted(group_by="day")["groups"] == [{"value": "2023-11-14", "count": 2}]


@pytest.mark.parametrize(
    ("query", "position"), [("Status = 'X'", 10), ("a = 1 OR", 9), ("ä = 1", 1), ("a = '\x00'", 6)]
)
def test_a_filter_that_cannot_be_read_is_422_and_names_the_character(
    door: FlaskClient, query: str, position: int
) -> None:
    for path in (URL, f"{URL}/count"):
        answer = door.get(path, query_string={"q": query})

        refused = answer.get_json()
        assert (answer.status_code, refused["code"]) == (422, "invalid_filter")
        assert refused["details"] == [{"field": "q", "issue": "invalid_filter", "position": position}]
        assert refused["error"].startswith(f"q: at character {position}: ")


def test_waiting_finds_the_runs_that_are_parked_on_a_signal(client: FlaskClient, worker: WorkerOverHttp) -> None:
    start(client, "parked")
    worker.turn(worker.task()["task_token"], {"type": "WaitForSignal", "name": "go"})
    start(client, "fresh")

    assert ids(client, status="WAITING") == ["parked"]
    assert ids(client, status="RUNNING") == ["parked"]
    assert client.get(f"{URL}/parked").get_json()["status"] == "RUNNING"


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("limit=0", "out_of_range", "limit"),
        ("limit=1001", "out_of_range", "limit"),
        ("limit=abc", "out_of_range", "limit"),
        ("limit=-1", "out_of_range", "limit"),
        ("limit=1e2", "out_of_range", "limit"),
        ("limit=%D9%A3", "out_of_range", "limit"),
        ("limit=", "out_of_range", "limit"),
        ("offset=-1", "out_of_range", "offset"),
        ("offset=9223372036854775808", "out_of_range", "offset"),
        ("status=DONE", "invalid_filter", "status"),
        ("status=", "invalid_filter", "status"),
        ("search_attrs=nonsense", "invalid_filter", "search_attrs"),
        ("search_attrs=%5B1%5D", "invalid_filter", "search_attrs"),
        ("search_attrs=%7B%22a%22:%7B%7D%7D", "invalid_filter", "search_attrs/a"),
        ("created_after=yesterday", "invalid_filter", "created_after"),
        ("created_after=nan", "invalid_filter", "created_after"),
        ("created_after=1e999", "out_of_range", "created_after"),
        ("colour=blue", "invalid_filter", "colour"),
        ("q=a", "invalid_filter", "q"),
        ("q=&q=", "invalid_filter", "q"),
        ("namespace=a%00b", "control_character", "namespace"),
        ("cursor=nonsense", None, None),
    ],
)
def test_a_bad_filter_is_422_and_never_ignored(
    door: FlaskClient, query: str, code: str | None, field: str | None
) -> None:
    response = door.get(f"{URL}?{query}")

    refused = response.get_json()
    assert response.status_code == 422, refused
    if code is not None:
        assert refused["code"] == code
        assert refused["details"][0]["field"] == field


def test_events_come_in_order_and_in_parts(client: FlaskClient) -> None:
    started = start(client, "a", input={"n": 1})
    for name in ("x", "y", "z"):
        client.post(f"{URL}/a/signal/{name}")

    def seqs(query: str) -> list[int]:
        return [event["seq"] for event in client.get(f"{URL}/a/events{query}").get_json()]

    events = client.get(f"{URL}/a/events").get_json()
    assert set(events[0]) == set(records.EventRecord().fields)
    assert (events[0]["event_type"], events[0]["payload"], events[0]["timestamp"]) == (
        "WorkflowStarted",
        '{"n":1}',
        1_700_000_000.0,
    )
    assert (events[0]["workflow_id"], events[0]["run_id"]) == ("a", started["run_id"])
    assert json.loads(events[1]["payload"]) == {"signal": "x", "payload": None}
    assert seqs("") == [1, 2, 3, 4]
    assert seqs("?after_seq=2") == [3, 4]
    assert seqs("?limit=2") == [1, 2]
    assert seqs("?order=desc&limit=1") == [4]
    assert client.get(f"{URL}/a/events?order=sideways").status_code == 422
    assert client.get(f"{URL}/a/events?after_seq=-1").status_code == 422
    assert client.get(f"{URL}/a/events?since=2").status_code == 422


def test_state_is_404_until_the_run_has_shown_one(client: FlaskClient, worker: WorkerOverHttp, clock: Clock) -> None:
    start(client, "a")
    assert client.get(f"{URL}/a/state").status_code == 404

    clock.advance(5)
    state = {"step": 1, "big": 2**70}
    token = worker.task()["task_token"]
    worker.turn(token, {"type": "RecordSnapshot", "state": state}, {"type": "WaitForSignal", "name": "go"})

    shown = client.get(f"{URL}/a/state").get_json()
    assert set(shown) == set(records.State().fields)
    assert (shown["state"], shown["created_at"]) == (state, 1_700_000_005.0)
