"""Routes x roles x own and foreign namespaces: each route is asked by everybody about everything.

What must come is computed from the access that the route declares and from the table of roles. A new route is
asked by itself: its paths and bodies are made of what it declares.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from assay_wsgi.api import openapi
from assay_wsgi.auth.roles import ALLOWS
from assay_wsgi.auth.roles import Access
from assay_wsgi.domain.requests import ROLES
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import StartRun
from assay_wsgi.engine import Engine
from tests.auth.scenes import Play
from tests.auth.scenes import Scene
from tests.auth.scenes import ask
from tests.auth.scenes import key
from tests.auth.scenes import nothing
from tests.auth.scenes import plays
from tests.auth.scenes import set_up
from tests.engine.following import now

OPEN = {Access.PUBLIC, Access.KNOWN}
REFUSED = {"unauthorized", "insufficient_role", "not_found", "namespace_not_found"}


def may(role: str, play: Play, *, everywhere: bool) -> bool:
    """Say by the table whether a role has what the route asks for."""
    wanted = {play.operation.access, *([play.operation.with_token] if play.by_token else [])} - {None}
    return any(
        access in OPEN or (access in ALLOWS[role] and (everywhere or access is not Access.GOVERN)) for access in wanted
    )


def is_elsewhere(play: Play) -> bool:
    """Say whether the request is about what is in one namespace: else there is no own and foreign."""
    operation = play.operation
    schemas = [schema for schema in (operation.body, operation.query) if schema is not None]
    concerns = operation.namespace_in_path or any("namespace" in schema.fields for schema in schemas)
    return bool(concerns) and operation.access not in OPEN


def code_of(response: Any) -> str | None:
    body = response.get_json(silent=True)
    return body.get("code") if isinstance(body, dict) else None


def shown(engine: Engine, scene: Scene) -> list[Any]:
    """All that is to be seen of a namespace."""
    return [
        engine.workflows.list(ListFilter(namespace=scene.namespace)),
        engine.workflows.events(RunRef(workflow_id=scene.run, namespace=scene.namespace)),
        engine.activities.get(int(scene.activity)),
        engine.workers.list(scene.namespace),
        engine.queues.stats(scene.namespace),
        engine.schedules.list(scene.namespace),
        [{**key, "last_used_at": None} for key in engine.api_keys.list(where=scene.namespace)],
    ]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_in_one_namespace_does_there_what_the_table_says_and_nothing_elsewhere(
    role: str, engine: Engine, app: Flask, client: FlaskClient
) -> None:
    key(engine, "admin")
    own, foreign = set_up(engine, "ours"), set_up(engine, "theirs")
    mine = key(engine, role, namespaces=("ours",))
    before = shown(engine, foreign)

    absent = nothing("nowhere")
    for play, twin in zip(plays(app, foreign), plays(app, absent), strict=True):
        answer = play.send(client, mine)
        if not may(role, play, everywhere=False):
            assert (answer.status_code, code_of(answer)) == (403, "insufficient_role"), play
        elif is_elsewhere(play):
            missing = twin.send(client, mine)
            assert (answer.status_code, _told(answer, foreign)) == (missing.status_code, _told(missing, absent)), play
            assert answer.status_code >= 400 or play.endpoint in NOTHING_THERE, play
    assert shown(engine, foreign) == before

    for play in plays(app, own, own=True):
        answer = play.send(client, mine)
        if may(role, play, everywhere=False):
            assert code_of(answer) not in REFUSED, (play, answer.text)
            assert "theirs" not in answer.text, play
        else:
            assert (answer.status_code, code_of(answer)) == (403, "insufficient_role"), play


# Routes that answer the same 200 whether the thing is there or not.
NOTHING_THERE = {"assay_workers.heartbeat", "assay_workflows.start_batch"}


def _told(answer: Any, scene: Scene) -> str:
    body = answer.get_json(silent=True)
    if isinstance(body, dict):
        body.pop("request_id", None)
    return scene.without_names(str(body))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_everywhere_does_in_all_namespaces_what_the_table_says(
    role: str, engine: Engine, app: Flask, client: FlaskClient
) -> None:
    key(engine, "admin")
    scenes = [set_up(engine, name) for name in ("ours", "theirs")]
    mine = key(engine, role)

    for scene in scenes:
        for play in plays(app, scene, own=True):
            answer = play.send(client, mine)
            if may(role, play, everywhere=True):
                assert code_of(answer) not in REFUSED, (play, answer.text)
            else:
                assert (answer.status_code, code_of(answer)) == (403, "insufficient_role"), play


def test_who_has_no_key_or_one_that_is_no_more_is_refused_by_every_route_that_is_not_public(
    engine: Engine, app: Flask, client: FlaskClient
) -> None:
    key(engine, "admin")
    scene, revoked = set_up(engine, "ours"), key(engine, "admin")
    engine.api_keys.revoke(revoked[:14])
    told = set()

    for play in plays(app, scene):
        for credential in (None, revoked):
            answer = play.send(client, credential)
            if play.operation.access is Access.PUBLIC:
                assert code_of(answer) not in REFUSED, play
            elif answer.status_code != 429:  # who goes on with a bad key is slowed down
                told_apart = 'Bearer error="invalid_token"' if credential else "Bearer"
                assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, told_apart), play
                told.add(str({**answer.get_json(), "request_id": ""}))

    assert len(told) == 1, "one answer for all: nobody learns what there is"


def test_what_a_caller_sees_does_not_change_with_what_happens_elsewhere(
    engine: Engine, app: Flask, client: FlaskClient
) -> None:
    key(engine, "admin")
    own, foreign = set_up(engine, "ours"), set_up(engine, "theirs")
    mine = key(engine, "admin", "worker", namespaces=("ours",))
    looks = [play for play in plays(app, own) if play.method == "GET"]
    looks = [play for play in looks if play.operation.access not in OPEN and play.endpoint != "assay_audit.list_deeds"]
    # The cursor of the feed, which is one for all, moves with whatever happens; what is told is in the test below.
    looks = [play for play in looks if not play.endpoint.startswith(("assay_feeds.", "assay_sockets."))]

    def seen() -> list[tuple[int, str]]:
        answers = [play.send(client, mine) for play in looks]
        # When a key was last used is written by the way, whenever something is.
        return [(answer.status_code, re.sub(r'"last_used_at":[^,]*', "", answer.text)) for answer in answers]

    before = seen()
    engine.workflows.start(StartRun(workflow_type="T", workflow_id=own.run, namespace="theirs", task_queue="q"))
    engine.workflows.start(StartRun(workflow_type="T", workflow_id="more", namespace="theirs", task_queue="q"))
    engine.workflows.terminate(RunRef(workflow_id=foreign.run, namespace="theirs"))
    key(engine, "viewer", namespaces=("theirs",))
    key(engine, "viewer")

    assert seen() == before
    assert len(looks) >= 10


def test_the_feed_tells_a_caller_of_what_is_theirs(engine: Engine, client: FlaskClient) -> None:
    key(engine, "admin")
    for namespace in ("ours", "theirs"):
        engine.workflows.start(StartRun(workflow_type="T", workflow_id=f"of-{namespace}", namespace=namespace))
    behind = now(engine)
    mine = key(engine, "viewer", namespaces=("ours",))

    page = ask(client, "GET", "/api/v1/events?after=oldest", mine)
    foreign = ask(client, "GET", "/api/v1/events?after=oldest&namespace=theirs", mine)

    assert [notice["workflow_id"] for notice in page.get_json()["events"]] == ["of-ours"]
    assert page.get_json()["cursor"] == behind
    assert foreign.status_code == ask(client, "GET", "/api/v1/workflows?namespace=theirs", mine).status_code
    assert "of-theirs" not in foreign.text


def test_every_route_says_where_what_it_is_about_is_to_be_found(app: Flask) -> None:
    unlimited = {
        rule.endpoint
        for rule, operation, _ in openapi.operations(app)
        if operation.access not in {*OPEN, Access.GOVERN}
        and operation.namespace_in_path is None
        and not any("namespace" in schema.fields for schema in (operation.body, operation.query) if schema is not None)
    }

    assert unlimited == {
        "assay_workflows.start_batch",  # each of its items names one
        "assay_tickets.issue",  # it stands for all that its caller may see
    }
