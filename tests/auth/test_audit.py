"""Who did what: a line for each thing that was done, in its own transaction, and for each that was refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from assay_wsgi.app import create_app
from assay_wsgi.auth.door import STRANGERS_A_MINUTE
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.requests import DeedFilter
from assay_wsgi.engine import Engine
from assay_wsgi.engine.acting import Actor
from assay_wsgi.engine.acting import acting
from assay_wsgi.settings import AuthSettings
from assay_wsgi.settings import Settings
from assay_wsgi.store.liveness import REFUSALS_AT_MOST
from tests.auth.scenes import ask
from tests.auth.scenes import key
from tests.auth.scenes import plays
from tests.auth.scenes import set_up
from tests.conftest import Clock

RUNS = "/api/v1/workflows"


def lines(engine: Engine, **wanted: Any) -> list[tuple[Any, ...]]:
    """What the log says, oldest first: who, what, where, about what, how it ended."""
    engine.committer.submit(())  # takes along what waits
    found, _ = engine.audit.list(DeedFilter(**wanted))
    names = ("principal", "action", "namespace", "target", "outcome")
    return [tuple(line[name] for name in names) for line in reversed(found)]


@pytest.mark.parametrize("name", ["a%00b", "%01%7f", "%ff", "%ed%a0%80", "x" * 3000])
def test_no_name_that_a_stranger_sends_keeps_others_from_writing(
    engine: Engine, client: FlaskClient, name: str
) -> None:
    admin = key(engine, "admin")

    refused = ask(client, "GET", f"{RUNS}/{name}")
    done = ask(client, "POST", RUNS, admin, json={"workflow_type": "T", "workflow_id": "w"})

    assert (refused.status_code, done.status_code) == (401, 201)
    (stranger,) = lines(engine, principal="unknown@127.0.0.1")
    assert stranger[3].isprintable()
    assert len(stranger[3]) <= 600


def test_a_whole_key_in_place_of_a_prefix_is_kept_nowhere(engine: Engine, client: FlaskClient) -> None:
    admin, other = key(engine, "admin"), key(engine, "viewer")
    nobody = "assay_" + "ab" * 32

    gone = ask(client, "DELETE", f"/api/v1/api-keys/{other}", admin)
    unknown = ask(client, "DELETE", f"/api/v1/api-keys/{nobody}", admin)

    assert (gone.status_code, unknown.status_code) == (204, 404)
    assert nobody not in unknown.text
    told = [line[3] for line in lines(engine)]
    assert told[-2:] == [f"{other[:14]}...", "assay_abababab..."]


def test_strangers_get_a_line_a_second_and_no_more(engine: Engine, client: FlaskClient) -> None:
    for number in range(STRANGERS_A_MINUTE + 40):
        ask(client, "GET", f"{RUNS}/{number}")

    assert len(lines(engine, principal="unknown@127.0.0.1")) == STRANGERS_A_MINUTE


def test_what_is_done_and_what_is_refused_is_written_down_with_who_and_about_what(
    engine: Engine, client: FlaskClient
) -> None:
    admin = key(engine, "admin")
    who = f"key:{admin[:14]}"
    start = {"workflow_type": "T", "workflow_id": "a/b", "namespace": "shop"}

    answer = ask(client, "POST", RUNS, admin, json=start, headers={"X-Request-Id": "r-1"})
    ask(client, "POST", RUNS, admin, json=start)
    ask(client, "POST", f"{RUNS}/a%2Fb/cancel", admin, json={"reason": "no"})
    ask(client, "POST", f"{RUNS}/nobody/cancel?namespace=shop", admin, json={})
    ask(client, "POST", f"{RUNS}/batch", admin, json={"workflows": [{"workflow_type": "T", "workflow_id": "c"}]})
    ask(client, "DELETE", "/api/v1/namespaces/shop?force=true", admin)
    ask(client, "GET", RUNS, admin)

    assert answer.status_code == 201
    assert set(lines(engine)) == {
        (who, "workflows_start", "shop", "a/b", "done"),
        (who, "workflows_start", "shop", None, "workflow_already_started"),
        (who, "workflows_cancel", "shop", "a/b", "done"),
        (who, "workflows_cancel", "shop", "nobody", "not_found"),
        (who, "workflows_start_batch", "main", "c", "done"),
        (who, "namespaces_delete", "shop", "shop", "done"),
    }
    assert len(lines(engine)) == 6
    (first,), _ = engine.audit.list(DeedFilter(outcome="done", action="workflows_start"))
    assert (first["request_id"], first["at"]) == ("r-1", engine.store.now())


def test_the_event_of_a_run_that_is_terminated_says_by_whom(engine: Engine, client: FlaskClient) -> None:
    admin = key(engine, "admin")
    engine.workflows.start("T", "a")

    ask(client, "POST", f"{RUNS}/a/terminate", admin, json={"reason": "enough"})

    (*_, last) = engine.workflows.events("a")
    assert json.loads(last["payload"]) == {"reason": "enough", "by": f"key:{admin[:14]}"}


def test_who_may_not_is_written_down_whatever_was_asked_for(engine: Engine, client: FlaskClient) -> None:
    viewer = key(engine, "viewer", namespaces=("shop",))

    ask(client, "POST", f"{RUNS}/x/cancel", viewer, json={})
    ask(client, "GET", f"{RUNS}/x", "assay_" + "0" * 64, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    ask(client, "GET", RUNS)

    assert lines(engine) == [
        (f"key:{viewer[:14]}", "workflows_cancel", None, "x", "insufficient_role"),
        ("unknown@192.0.2.7", "workflows_describe", None, "x", "unauthorized"),
        ("unknown@127.0.0.1", "workflows_list_runs", None, None, "unauthorized"),
    ]


def test_every_route_that_changes_something_for_people_leaves_a_line(
    engine: Engine, app: Flask, client: FlaskClient
) -> None:
    admin = key(engine, "admin")
    scene = set_up(engine, "ours")

    for play in plays(app, scene):
        if play.operation.keyed and play.endpoint != "assay_workers.register":
            play.send(client, admin)
            found, _ = engine.audit.list(DeedFilter(action=play.endpoint.removeprefix("assay_").replace(".", "_")))
            engine.committer.submit(())
            late, _ = engine.audit.list(DeedFilter(action=play.endpoint.removeprefix("assay_").replace(".", "_")))
            assert found or late, play


def test_a_repeat_under_an_idempotency_key_is_no_second_deed(engine: Engine, client: FlaskClient) -> None:
    admin = key(engine, "admin")
    for _ in range(2):
        body = {"workflow_type": "T", "workflow_id": "a"}
        ask(client, "POST", RUNS, admin, json=body, headers={"Idempotency-Key": "k"})

    assert len(lines(engine)) == 1


def test_two_callers_may_use_the_same_idempotency_key(engine: Engine, client: FlaskClient) -> None:
    started = [
        ask(client, "POST", RUNS, key(engine, "admin"), json={"workflow_type": "T"}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]

    assert len({answer.get_json()["run_id"] for answer in started}) == 2


def test_an_admin_of_a_namespace_reads_what_was_done_there(engine: Engine, client: FlaskClient) -> None:
    admin, ours = key(engine, "admin"), key(engine, "admin", namespaces=("ours",))
    for namespace in ("ours", "theirs"):
        ask(client, "POST", RUNS, admin, json={"workflow_type": "T", "workflow_id": "a", "namespace": namespace})

    shown = ask(client, "GET", "/api/v1/audit", ours).get_json()

    assert [line["namespace"] for line in shown] == ["ours"]
    assert len(ask(client, "GET", "/api/v1/audit", admin).get_json()) == 2


def test_the_log_is_read_page_by_page(engine: Engine, client: FlaskClient) -> None:
    admin = key(engine, "admin")
    for n in range(5):
        ask(client, "POST", RUNS, admin, json={"workflow_type": "T", "workflow_id": f"w{n}"})

    seen, path = [], "/api/v1/audit?limit=2"
    while path:
        answer = ask(client, "GET", path, admin)
        seen += [line["target"] for line in answer.get_json()]
        path = answer.headers.get("Link", "").partition("<")[2].partition(">")[0]

    assert seen == ["w4", "w3", "w2", "w1", "w0"]


def test_where_nobody_is_asked_nothing_is_written_unless_that_is_said(engine: Engine) -> None:
    for audited in (False, True):
        settings = Settings(auth=AuthSettings(audit_anonymous=audited))
        create_app(settings, engine).test_client().post(RUNS, json={"workflow_type": "T", "workflow_id": f"{audited}"})

    assert lines(engine) == [("anonymous", "workflows_start", "main", "True", "done")]


def test_a_program_that_embeds_the_engine_says_on_whose_behalf_it_works(engine: Engine) -> None:
    with acting(Actor(name="import", action="import_orders")):
        engine.workflows.start("T", "a")
    engine.workflows.start("T", "b")

    assert lines(engine) == [("import", "import_orders", "main", "a", "done")]


def test_a_flood_of_refusals_is_written_as_far_as_there_is_room(engine: Engine, client: FlaskClient) -> None:
    viewer = key(engine, "viewer")
    engine._wakeups.close()  # nobody writes meanwhile
    for _ in range(REFUSALS_AT_MOST + 5):
        ask(client, "POST", RUNS, viewer)

    assert len(lines(engine, limit=2000)) == REFUSALS_AT_MOST


def test_lines_and_keys_go_when_their_time_is_over(engine: Engine, client: FlaskClient, clock: Clock) -> None:
    admin, viewer = key(engine, "admin"), key(engine, "viewer")
    engine.api_keys.revoke(viewer[:14])
    ask(client, "POST", RUNS, admin, json={"workflow_type": "T", "workflow_id": "a"})
    clock.advance(90 * 86_400 - 1)
    engine.upkeep.prune()
    assert len(lines(engine)) == 1

    clock.advance(1)
    engine.upkeep.prune()

    assert lines(engine) == []
    with engine.store.read() as db:
        assert db.one("SELECT COUNT(*) FROM api_keys")[0] == 1


# ---------------------------------------------------------------------------------- whose namespaces are made


@pytest.mark.parametrize(
    ("roles", "everywhere", "status"),
    [(("admin",), True, 201), (("operator",), True, 404), (("admin",), False, 404), (("operator",), False, 404)],
)
def test_only_an_admin_of_all_makes_a_namespace_by_using_it(
    engine: Engine, client: FlaskClient, roles: tuple[str, ...], everywhere: bool, status: int
) -> None:
    caller = key(engine, *roles, namespaces=None if everywhere else ("fresh",))

    answer = ask(client, "POST", RUNS, caller, json={"workflow_type": "T", "namespace": "fresh"})

    assert answer.status_code == status, answer.text
    assert [space["name"] for space in engine.namespaces.list()] == (["fresh", "main"] if status == 201 else ["main"])
    if status == 404:
        assert answer.get_json()["code"] == "namespace_not_found"


def test_a_worker_that_comes_to_a_namespace_that_is_not_there_does_not_make_it(
    engine: Engine, client: FlaskClient
) -> None:
    worker = key(engine, "worker")
    exchange = {"worker": {"identity": "w"}, "session": "s", "n": 1, "queue": "q", "namespace": "fresh"}

    begun = ask(client, "POST", "/api/v1/workers/w/exchange", worker, json=exchange)
    registered = ask(
        client, "POST", "/api/v1/workers/register", worker, json={"identity": "w", "queue": "q", "namespace": "fresh"}
    )

    assert (begun.status_code, registered.status_code) == (404, 404)
    with pytest.raises(NotFound):
        engine.namespaces.stats("fresh")


def test_a_worker_of_one_namespace_is_given_no_work_of_another(engine: Engine, client: FlaskClient) -> None:
    key(engine, "admin")
    theirs = set_up(engine, "theirs")
    for namespace in ("ours", "theirs"):
        engine.workflows.start("T", f"of-{namespace}", namespace=namespace, task_queue="q")
        engine.workflows.start("T", f"more-of-{namespace}", namespace=namespace, task_queue="q")
    mine = key(engine, "worker", namespaces=("ours",))

    taken = [
        ask(client, "POST", "/api/v1/workflow-tasks/poll", mine, json={"queue": "q", "worker_id": worker, **more})
        for worker in ("w-mine", theirs.worker)
        for more in ({}, {"namespace": "ours"})
    ]

    assert {(task.get_json() or {}).get("namespace", "none") for task in taken} == {"ours", "none"}
