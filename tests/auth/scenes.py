"""Namespaces with one of everything in them, and a request to every route about what is in one of them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from assay_wsgi.api import openapi
from assay_wsgi.api.contract import Operation
from assay_wsgi.domain.commands import RecordSnapshot
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.requests import NewKey
from assay_wsgi.domain.requests import NewSchedule
from assay_wsgi.domain.requests import Poll
from assay_wsgi.domain.requests import Registration
from assay_wsgi.domain.requests import StartRun
from assay_wsgi.domain.requests import TaskRef
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.domain.requests import WorkerInfo
from assay_wsgi.engine import Engine
from assay_wsgi.settings import AuthSettings
from assay_wsgi.settings import Settings

KEYED = Settings(auth=AuthSettings(api_keys=True))


def key(engine: Engine, *roles: str, namespaces: tuple[str, ...] | None = None, **more: Any) -> str:
    """Make an API key and give it."""
    record, _ = engine.api_keys.create(NewKey(roles=roles, namespaces=namespaces, **more))
    return str(record["plaintext"])


def ask(client: FlaskClient, method: str, path: str, key: str | None = None, **more: Any) -> Any:
    """Send a request with a key, or with none. Of a stream, which has no end, nothing is read."""
    headers = {**more.pop("headers", {}), **({} if key is None else {"Authorization": f"Bearer {key}"})}
    response = client.open(path, method=method, headers=headers, **more)
    if response.mimetype == "text/event-stream":
        response.close()
        response.set_data(b"")
    return response


@dataclass
class Scene:
    """One namespace, and the names of what is in it."""

    namespace: str
    run: str
    activity: str
    worker: str
    turn: str  # token of a leased workflow task
    attempt: str  # token of a leased activity
    prefix: str
    schedule: str

    def named(self, rule: str) -> str:
        """Give what `name` stands for in a path."""
        return self.namespace if "namespaces" in rule else self.schedule if "schedules" in rule else "stage"

    def without_names(self, text: str) -> str:
        """Take the names of this scene out of an answer."""
        names = (self.turn, self.attempt, self.prefix, self.worker, self.run, self.schedule, self.namespace)
        for place, name in enumerate((*names, f"activity {self.activity}")):
            text = text.replace(name, f"<{place}>")
        return text


def set_up(engine: Engine, namespace: str) -> Scene:
    """Make a namespace with a run at work, a worker, an activity at work, a schedule and an API key."""
    run = f"run-of-{namespace}"
    worker = engine.workers.register(
        Registration(info=WorkerInfo(identity=f"{namespace}'s"), queue="q", namespace=namespace)
    )["worker_id"]
    engine.workflows.start(StartRun(workflow_type="T", workflow_id=run, namespace=namespace, task_queue="q"))
    poll = Poll(queue="q", worker_id=worker)
    first = engine.tasks.poll_workflow(poll)
    assert first is not None
    commands = (RecordSnapshot(state='{"stage": 1}'), ScheduleActivity(seq=1, name="a", task_queue="q"))
    report = TurnReport(task_token=first["task_token"], commands=commands)
    engine.tasks.report_turn(TaskRef(workflow_id=run, task_token=first["task_token"]), report)
    activity = engine.tasks.poll_activity(poll)
    assert activity is not None
    engine.workflows.signal(run, "go")
    turn = engine.tasks.poll_workflow(poll)
    assert turn is not None
    schedule = engine.schedules.create(
        NewSchedule(name=f"schedule-of-{namespace}", workflow_type="T", cron_expr="@daily", namespace=namespace)
    )
    record, _ = engine.api_keys.create(NewKey(label=f"key of {namespace}", roles=("viewer",), namespaces=(namespace,)))
    return Scene(
        namespace, run, str(activity["id"]), worker, turn["task_token"], activity["task_token"], record["prefix"],
        schedule["name"],
    )  # fmt: skip


def nothing(namespace: str) -> Scene:
    """Give names of things that are not there."""
    return Scene(
        namespace, "run-of-nobody", "99999", "w-nobody", "w.99999.x", "a.99999.1.x", "assay_ffffffff...",
        "schedule-of-nobody",
    )  # fmt: skip


@dataclass(frozen=True)
class Play:
    """A request to a route about what is in a scene."""

    operation: Operation
    endpoint: str
    method: str
    path: str
    body: dict[str, Any] | None
    query: dict[str, str]
    by_token: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.query} {self.body}"

    def send(self, client: FlaskClient, key: str | None) -> Any:
        body = {} if self.body is None else {"json": self.body}
        return ask(client, self.method, self.path, key, query_string=self.query, **body)


def plays(app: Flask, scene: Scene, *, own: bool = False) -> Iterator[Play]:
    """Give requests to every route: about each kind of thing in the scene, by its name alone and with its namespace.

    Of what is one's `own`, nothing is taken away twice.
    """
    for rule, operation, _ in sorted(openapi.operations(app), key=lambda found: "DELETE" in (found[0].methods or ())):
        variables = {
            "workflow_id": scene.run, "activity_id": scene.activity, "worker_id": scene.worker,
            "prefix": scene.prefix, "name": scene.named(rule.rule),
        }  # fmt: skip
        path = openapi.VARIABLE.sub(lambda found: variables[found[1]], rule.rule)  # noqa: B023  used at once
        named = operation.query is not None and "namespace" in operation.query.fields
        elsewhere = named and operation.query is not None and operation.query.fields["namespace"].load_default
        by_name_alone = not named or bool(rule.arguments and not elsewhere)
        queries: list[dict[str, str]] = [{"namespace": scene.namespace}] if named else []
        queries += [{}] if by_name_alone and not (own and named and operation.status == 204) else []
        for query, (body, by_token) in itertools.product(queries, _bodies(operation, scene)):
            if rule.endpoint.endswith("signal_with_start") and body is not None:
                body = {**body, "namespace": scene.namespace}
            method = openapi.method_of(rule)
            yield Play(operation, rule.endpoint, method, path, body, query, by_token)


def _bodies(operation: Operation, scene: Scene) -> Iterator[tuple[dict[str, Any] | None, bool]]:
    if operation.body is None:
        yield None, False
        return
    body = copy.deepcopy(operation.example) or {}
    fields = operation.body.fields
    for name, value in (("namespace", scene.namespace), ("namespaces", [scene.namespace])):
        if name in fields:
            body[name] = value
    for item in body.get("workflows", []) if isinstance(body.get("workflows"), list) else []:
        if isinstance(item, dict):
            item["namespace"] = scene.namespace
    if "worker_id" in fields:
        body["worker_id"] = scene.worker
    yield body, False
    if "task_token" in fields:
        of_run = "worker_id" in fields or "seq" in fields
        yield {**body, "task_token": scene.turn if of_run else scene.attempt}, True
