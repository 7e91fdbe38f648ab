"""Our client against the service as it runs: starts whose answers are lost, histories that are followed, lists."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Backfilled
from assay_wsgi.sdk import Client
from assay_wsgi.sdk import Conflict
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Invalid
from assay_wsgi.sdk import NotFound
from assay_wsgi.sdk import ScheduleRecord
from assay_wsgi.sdk import Triggered
from assay_wsgi.sdk import WorkflowAlreadyStarted
from assay_wsgi.sdk.transport import Connection
from tests.contract.service import Service
from tests.processes import PATIENCE_SECS
from tests.processes import until

app = Assay(queue="client-at-work")


@app.activity
def double(n: int) -> int:
    return 2 * n


@app.workflow
def Tally(ctx: Context, so_far: int, step: int = 1) -> int:
    stage = "waiting"
    ctx.register_query("stage", lambda: stage)
    step = ctx.wait_for_signal("add", int)
    if step < 0:
        ctx.continue_as_new(Tally.prepare(so_far, step=0))
    return ctx.execute_activity(double, so_far + step)


@app.workflow
def Family(ctx: Context) -> int:
    return sum(ctx.gather(*[ctx.start_child(Leaf, n) for n in range(2)]))


@app.workflow
def Night(ctx: Context, again: bool = True) -> str:
    if again:
        ctx.continue_as_new(Night.prepare(False), id=f"{ctx.workflow_id}-again")
    return str(ctx.info.scheduled_for)


@app.workflow
def Leaf(ctx: Context, n: int) -> int:
    return n


class Forgetful(HTTPAdapter):
    """A network that carries requests, and loses the answers to the first ones that change something."""

    lost = 0

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        answer = super().send(request, *args, **options)
        if request.method == "POST" and self.lost < 2:
            self.lost += 1
            answer.close()
            raise requests.ConnectionError("the answer was lost")
        return answer


@pytest.fixture
def place(attended: Service) -> Assay:
    """The app at a service, in a namespace of its own."""
    made = Assay(url=attended.root, namespace=f"client-{uuid.uuid4().hex[:8]}", queue=app.queue)
    made.include(app)
    return made


@pytest.fixture
def client(place: Assay) -> Iterator[Client]:
    """A client of it, with a worker at work."""
    with place.worker(grace=5), place.client as client:
        yield client


@pytest.fixture
def forgetful(place: Assay) -> Iterator[Client]:
    """A client whose first answers are lost."""
    session = requests.Session()
    session.mount("http://", Forgetful())
    yield Client(
        place.url, namespace=place.namespace, queue=place.queue, connection=Connection(place.url, session=session)
    )
    session.close()


def test_a_start_whose_answer_was_lost_is_no_conflict_with_itself(forgetful: Client) -> None:
    handle = forgetful.start(Tally.prepare(1), id="lost")

    assert [one["run_id"] for one in forgetful.list()] == [handle.run_id]
    with pytest.raises(WorkflowAlreadyStarted) as caught:
        forgetful.start(Tally.prepare(1), id="lost")
    assert caught.value.run_id == handle.run_id


def test_the_same_key_is_the_same_start_in_another_process_too(place: Assay) -> None:
    first = place.client.start(Tally.prepare(1), id="keyed", idempotency_key=f"k-{place.namespace}")
    again = place.client.start(Tally.prepare(1), id="keyed", idempotency_key=f"k-{place.namespace}")

    assert again.run_id == first.run_id
    with pytest.raises(Invalid, match="used for another request"):
        place.client.start(Tally.prepare(2), id="keyed", idempotency_key=f"k-{place.namespace}")


def test_a_signal_whose_answer_was_lost_starts_and_signals_once(forgetful: Client) -> None:
    handle = forgetful.signal_with_start(Tally.prepare(1), id="signalled", signal="add", payload=4)

    kinds = [one["event_type"] for one in handle.events()]
    assert kinds.count("SignalReceived") == 1
    assert len(list(forgetful.list())) == 1


def test_a_run_is_executed_to_its_typed_result(client: Client) -> None:
    family = client.execute(Family, id="family", timeout=PATIENCE_SECS)

    assert family == 1
    handle = client.handle("family", Family)
    assert sorted(one["input"] for one in handle.children()) == [0, 1]
    tree = handle.tree()
    assert (tree["id"], len(tree["children"]), tree["truncated"]) == ("family", 2, False)
    assert tree["children"][0]["result"] in (0, 1)


@pytest.mark.parametrize("end", ["completed", "terminated", "continued"])
def test_a_followed_history_ends_with_its_run_whatever_way(client: Client, end: str) -> None:
    handle = client.start(Tally.prepare(3), id=f"followed-{end}")
    seen: list[dict[str, Any]] = []
    follower = threading.Thread(target=lambda: seen.extend(client.handle(handle.workflow_id).events(follow=True)))
    follower.start()
    until(lambda: seen and handle.describe()["waiting_for"])

    {
        "completed": lambda: handle.signal("add", 2),
        "terminated": lambda: handle.terminate("enough"),
        "continued": lambda: handle.signal("add", -1),
    }[end]()
    follower.join(PATIENCE_SECS)

    assert not follower.is_alive()
    assert [one["seq"] for one in seen] == list(range(1, len(seen) + 1))
    last = {"completed": "WorkflowCompleted", "terminated": "WorkflowTerminated", "continued": "WorkflowContinuedAsNew"}
    assert seen[-1]["event_type"] == last[end]
    if end == "continued":
        client.handle(handle.workflow_id).signal("add", 4)
        assert handle.result(timeout=PATIENCE_SECS) == 14


def test_queries_are_read_alone_and_together(client: Client) -> None:
    handle = client.start(Tally.prepare(3))
    until(lambda: handle.describe()["waiting_for"])

    assert handle.query("stage") == handle.state("stage") == "waiting"
    assert handle.state() == {"stage": "waiting"}
    with pytest.raises(NotFound):
        handle.query("none")


def test_a_run_is_continued_from_outside(client: Client) -> None:
    first = client.start(Tally.prepare(3), id="outside")

    second = first.continue_as_new(Tally.prepare(10), id="outside")
    second.signal("add", 1)

    assert second.run_id != first.run_id
    assert first.result(timeout=PATIENCE_SECS) == second.result(timeout=PATIENCE_SECS) == 22


def test_the_service_is_looked_at_through_the_client(client: Client) -> None:
    client.start(Tally.prepare(3), id="looked-at").signal("add", 1)
    assert client.handle("looked-at").result(timeout=PATIENCE_SECS) == 8

    (worker,) = client.workers()
    assert (worker["workflows"], worker["activities"]) == (sorted(app.workflows), ["double"])
    assert "client-at-work" in [one["queue"] for one in client.queues()]
    (scheduled,) = [one for one in client.handle("looked-at").events() if one["event_type"] == "ActivityScheduled"]
    activity = client.activity(scheduled["payload"]["activity_id"])
    assert (activity["name"], activity["input"], activity["result"]) == ("double", 4, 8)
    assert client.version()["version"]


def test_a_schedule_starts_runs_until_it_is_paused(client: Client) -> None:
    made = client.schedules.create("often", "@every 1s", Leaf, 7, timezone="Asia/Tokyo", overlap="allow_all")
    assert set(made) == set(ScheduleRecord.__annotations__)
    assert (made["input"], made["task_queue"], made["runs_started"]) == (7, app.queue, 0)
    assert made["next_runs"] == [made["next_run_at"] + n for n in range(3)]

    until(lambda: client.schedules.get("often")["runs_started"])
    paused = client.schedules.pause("often", reason="enough")

    assert (paused["paused"], paused["pause_reason"], paused["next_run_at"]) == (True, "enough", None)
    name, _, tick = str(paused["last_workflow_id"]).rpartition("-")
    assert name == "often"
    assert made["next_run_at"] <= int(tick) <= paused["last_run_at"]
    handle = client.handle(paused["last_workflow_id"], Leaf)
    assert handle.result(timeout=PATIENCE_SECS) == 7
    assert handle.describe()["search_attributes"]["ScheduledBy"] == "often"


def test_a_schedule_is_changed_looked_at_and_removed(client: Client) -> None:
    client.schedules.create("nightly", "0 2 * * *", Leaf, 7)
    with pytest.raises(Conflict):
        client.schedules.create("nightly", "0 2 * * *", Leaf, 7)
    with pytest.raises(Invalid, match="hour: '24' is out of range"):
        client.schedules.update("nightly", cron="0 24 * * *")

    ensured = client.schedules.ensure("nightly", "0 0 0 1 1 ? 2100", Leaf.prepare(8), run_timeout=60)

    assert [one["name"] for one in client.schedules.list()] == ["nightly"]
    assert "next_runs" not in next(client.schedules.list())
    assert client.schedules.get("nightly") == ensured
    assert (ensured["input"], ensured["run_timeout_secs"]) == (8, 60)
    assert client.schedules.next("nightly") == ensured["next_runs"] == [4102444800.0]
    client.schedules.delete("nightly")
    with pytest.raises(NotFound):
        client.schedules.get("nightly")


def test_runs_of_a_schedule_are_started_now_and_for_the_past(client: Client) -> None:
    client.schedules.create("yearly", "@yearly", Leaf, 7)
    client.schedules.pause("yearly")

    now = client.schedules.trigger("yearly")
    past = client.schedules.backfill("yearly", 0, datetime(1971, 6, 1, tzinfo=UTC), overlap="allow_all")

    assert set(now) == set(Triggered.__annotations__)
    assert (now["outcome"], client.handle(now["workflow_id"], Leaf).result(timeout=PATIENCE_SECS)) == ("started", 7)
    assert past == {"ticks": 2, "queued": 2, "known": 0, "left": 0}
    assert past.keys() == Backfilled.__annotations__.keys()
    until(lambda: {"yearly-0", "yearly-31536000"} <= {one["id"] for one in client.list()})


def test_a_run_and_what_continues_it_know_which_time_they_are_for(client: Client) -> None:
    client.schedules.create("nights", "0 2 * * *", Night)

    client.schedules.backfill("nights", 0, 86400)

    until(lambda: "nights-7200" in [one["id"] for one in client.list()])
    assert client.handle("nights-7200", Night).result(timeout=PATIENCE_SECS) == "1970-01-01 02:00:00+00:00"
    assert client.execute(Night, False, timeout=PATIENCE_SECS) == "None"


def test_namespaces_are_made_counted_and_deleted_with_what_they_hold(place: Assay) -> None:
    name = f"{place.namespace}-old"
    with Client(place.url, namespace=name) as client:
        client.namespaces.create(name)
        with pytest.raises(Conflict):
            client.namespaces.create(name)
        client.start_many([{"workflow": "Nobody", "id": f"n-{n}"} for n in range(3)])
        assert client.namespaces.stats(name)["total_workflows"] == 3
        with pytest.raises(Conflict):
            client.namespaces.delete(name)
        heard: list[int] = []

        assert client.namespaces.delete(name, force=True, progress=heard.append) == 3

        assert heard[-1] == 3
        assert name not in [one["name"] for one in client.namespaces.list()]
        with pytest.raises(NotFound):
            client.namespaces.stats(name)


def test_keys_are_made_rotated_and_revoked_and_the_audit_log_is_read(place: Assay) -> None:
    label = f"packer-{place.namespace}"
    with Client(place.url, namespace=place.namespace) as client:
        made = client.api_keys.create(
            label, roles=["worker"], namespaces=[place.namespace], expires_in=timedelta(days=1)
        )
        again = client.api_keys.create(label, idempotent=True)
        successor = client.api_keys.rotate(made["prefix"], grace=60)

        assert made["plaintext"].startswith(made["prefix"][:14])
        assert made["expires_at"] - made["created_at"] == pytest.approx(86_400)
        assert (again["prefix"], "plaintext" in again) == (made["prefix"], False)
        assert [one["prefix"] for one in client.api_keys.list(place.namespace)] == [made["prefix"], successor["prefix"]]
        with pytest.raises(Conflict):
            client.api_keys.rotate(made["prefix"])
        client.api_keys.revoke(successor["prefix"])
        with pytest.raises(NotFound):
            client.api_keys.revoke(successor["prefix"])
        with pytest.raises(Invalid):
            client.api_keys.create(roles=["owner"])
        assert list(client.audit(after=datetime.now(UTC), outcome="done")) == []
