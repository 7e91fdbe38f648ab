"""`client.schedules`: what it sends, and what it makes of answers."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest

from assay_wsgi.sdk import Client
from assay_wsgi.sdk import Conflict
from tests.sdk.network import LOST
from tests.sdk.network import Buy
from tests.sdk.network import Network
from tests.sdk.network import Order
from tests.sdk.network import Transfer

RECORD = {"name": "nightly", "input": '{"sku": "a"}', "search_attributes": None, "next_run_at": 7200.0}
READ = {**RECORD, "input": {"sku": "a"}}
TAKEN = (409, {"error": "there is one", "code": "schedule_exists"})


def test_a_schedule_is_made_of_a_workflow_and_its_arguments(client: Client, network: Network) -> None:
    network.answers((201, RECORD))

    made = client.schedules.create(
        "nightly", "0 2 * * *", Buy, Order("a"), timezone="Europe/Berlin", overlap="buffer_one",
        catchup_window=timedelta(hours=1), search_attributes={"env": "prod"}, run_timeout=600,
    )  # fmt: skip

    assert made == READ
    assert network.paths() == ["POST /api/v1/schedules"]
    assert network.bodies() == [
        {
            "name": "nightly",
            "cron_expr": "0 2 * * *",
            "workflow_type": "Buy",
            "namespace": "shop",
            "task_queue": "orders",
            "input": {"sku": "a"},
            "timezone": "Europe/Berlin",
            "overlap_policy": "buffer_one",
            "catchup_window_secs": 3600.0,
            "search_attributes": {"env": "prod"},
            "run_timeout_secs": 600.0,
        }
    ]


def test_what_is_left_out_is_the_workflows_the_clients_or_the_services(client: Client, network: Network) -> None:
    network.answers((201, RECORD), (201, RECORD), (201, RECORD))

    client.schedules.create("a", "@daily", Transfer.prepare("x", amount=2), timezone=None)
    client.schedules.create("b", "@daily", "of-others", {"n": 1}, queue="far")
    client.schedules.create("c", "@daily", "of-others", input=[1])

    prepared, by_name, by_word = network.bodies()
    assert prepared == {
        "name": "a",
        "cron_expr": "@daily",
        "workflow_type": "transfer",
        "namespace": "shop",
        "task_queue": "q",
        "input": {"source": "x", "amount": 2},
        "run_timeout_secs": 60.0,
        "execution_timeout_secs": 3600.0,
    }
    assert (by_name["task_queue"], by_name["input"]) == ("far", {"n": 1})
    assert by_word["input"] == [1]


def test_a_schedule_whose_answer_was_lost_is_asked_for_with_the_same_key(client: Client, network: Network) -> None:
    network.answers(LOST, (201, RECORD))

    client.schedules.create("nightly", "@daily", "of-others")

    first, again = (request.headers["Idempotency-Key"] for request in network.sent)
    assert first == again


def test_ensure_makes_a_schedule_or_changes_it(client: Client, network: Network) -> None:
    network.answers((201, RECORD), TAKEN, RECORD)

    for cron in ("@daily", "@hourly"):
        assert client.schedules.ensure("nightly", cron, Buy, Order("a")) == READ

    assert network.paths()[1:] == ["POST /api/v1/schedules", "PATCH /api/v1/schedules/nightly?namespace=shop"]
    assert network.bodies()[2] == {
        "cron_expr": "@hourly",
        "workflow_type": "Buy",
        "task_queue": "orders",
        "input": {"sku": "a"},
    }


def test_ensure_passes_other_conflicts_on(client: Client, network: Network) -> None:
    network.answers((409, {"error": "too many", "code": "schedule_limit"}))

    with pytest.raises(Conflict, match="too many"):
        client.schedules.ensure("nightly", "@daily", Buy, Order("a"))


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"cron": "@hourly", "timezone": "Asia/Tokyo"}, {"cron_expr": "@hourly", "timezone": "Asia/Tokyo"}),
        ({"workflow": Buy}, {"workflow_type": "Buy"}),
        ({"workflow": "of-others", "input": 7}, {"workflow_type": "of-others", "input": 7}),
        ({"workflow": Buy.prepare(Order("b"))}, {"workflow_type": "Buy", "input": {"sku": "b"}}),
        ({"queue": "q", "overlap": "skip"}, {"task_queue": "q", "overlap_policy": "skip"}),
        ({"execution_timeout": timedelta(hours=1), "timezone": None}, {"execution_timeout_secs": 3600.0}),
    ],
)
def test_a_change_sends_what_it_changes(
    client: Client, network: Network, changes: dict[str, Any], sent: dict[str, Any]
) -> None:
    network.answers(RECORD)

    assert client.schedules.update("a/b", **changes) == READ

    assert network.paths() == ["PATCH /api/v1/schedules/a%2Fb?namespace=shop"]
    assert network.bodies() == [sent]


def test_an_option_that_is_none_is_refused_before_anything_is_sent(client: Client, network: Network) -> None:
    with pytest.raises(TypeError, match="no such option of a schedule: id, zone"):
        client.schedules.create("a", "@daily", "of-others", id="x", zone="UTC")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="no such option of a schedule: every"):
        client.schedules.update("a", every="90s")  # type: ignore[call-arg]

    assert not network.sent


def test_a_schedule_is_looked_at_paused_resumed_and_removed(client: Client, network: Network) -> None:
    network.answers(RECORD, RECORD, RECORD, {"ok": True}, [RECORD], {"next_runs": [1.0, 2.0]})

    assert client.schedules.get("nightly") == READ
    assert client.schedules.pause("nightly", reason="stocktaking") == READ
    assert client.schedules.resume("nightly") == READ
    client.schedules.delete("nightly")
    assert list(client.schedules.list()) == [READ]
    assert client.schedules.next("nightly", 2) == [1.0, 2.0]

    assert network.paths() == [
        "GET /api/v1/schedules/nightly?namespace=shop",
        "POST /api/v1/schedules/nightly/pause?namespace=shop",
        "POST /api/v1/schedules/nightly/resume?namespace=shop",
        "DELETE /api/v1/schedules/nightly?namespace=shop",
        "GET /api/v1/schedules?limit=1000&offset=0&namespace=shop",
        "GET /api/v1/schedules/nightly/next?namespace=shop&n=2",
    ]
    assert network.bodies()[1:3] == [{"reason": "stocktaking"}, {}]


def test_runs_are_asked_for_now_and_for_the_past(client: Client, network: Network) -> None:
    network.answers({"outcome": "started"}, {"outcome": "skipped"}, {"queued": 3}, {"queued": 0})

    assert client.schedules.trigger("nightly")["outcome"] == "started"
    assert client.schedules.trigger("nightly", overlap="allow_all")["outcome"] == "skipped"
    assert client.schedules.backfill("nightly", datetime(1970, 1, 2, tzinfo=UTC))["queued"] == 3
    client.schedules.backfill("nightly", 0, 3600.5, overlap="skip")

    assert network.bodies() == [
        {},
        {"overlap_policy": "allow_all"},
        {"start": 86400.0},
        {"start": 0, "end": 3600.5, "overlap_policy": "skip"},
    ]
    assert network.paths()[3] == "POST /api/v1/schedules/nightly/backfill?namespace=shop"


def test_a_moment_needs_a_zone(client: Client) -> None:
    with pytest.raises(ValueError, match="start: 1970-01-02 00:00:00 has no time zone"):
        client.schedules.backfill("nightly", datetime(1970, 1, 2))  # noqa: DTZ001
