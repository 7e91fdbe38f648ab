"""`assay doctor`: what stands between a host and a service is found, and told with what to do."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest
import requests
from click.testing import CliRunner

from assay_wsgi import __version__
from assay_wsgi.cli.main import cli


@pytest.fixture
def assay():
    def run(*arguments, **environ):
        return CliRunner().invoke(cli, ["doctor", "--wait", "1", *arguments], env=environ)

    return run


@pytest.fixture
def like_an_engine(answering):
    """Run a server that is well but for some paths; its URL."""

    def serve(**instead):
        well = {
            "/livez": (200, '{"status": "ok", "service": "assay-workflow"}', {"Date": formatdate(usegmt=True)}),
            "/readyz": (200, '{"ready": true, "database": "ok", "sidecar_leads": true, "draining": false}', {}),
            "/api/v1/version": (200, json.dumps({"version": __version__}), {}),
            "/api/v1/namespaces/main": (200, "{}", {}),
            "/api/v1/backlog": (200, "[]", {}),
            "/api/v1/schedules": (200, "[]", {}),
            "/api/v1/tasks/poll": (504, "<html>Gateway Time-out</html>", {}),
        }
        changed = {f"/{path.replace('_', '/')}": answer for path, answer in instead.items()}
        return answering(lambda path: {**well, **changed}[path])

    return serve


def findings(result):
    assert result.exit_code == 1, result.output
    return {each["check"]: each for each in json.loads(result.output)["findings"]}


def test_a_service_at_work_and_what_it_lacks(assay, service):
    started = {"workflow_type": "Order", "workflow_id": "order-1", "task_queue": "lonely"}
    requests.post(f"{service}/api/v1/workflows", json=started, timeout=60).raise_for_status()

    found = findings(assay("--engine-url", service))
    table = assay("--engine-url", service, "-o", "table")

    assert found.keys() == {"sidecar", "workers"}
    assert found["workers"]["text"] == "queue lonely has 1 waiting and no worker"
    assert found["workers"]["advice"] == "Run one: assay worker MODULE:APP --namespace main --queue lonely"
    assert "  ok     long-poll: a poll can wait 1 s\n" in table.output
    assert "  WRONG  sidecar: no sidecar leads: timers and time-outs stand still\n" in table.output
    assert table.output.endswith("2 to see to\n")


def a_backlog(**more):
    """One queue of the backlog, as the service answers it."""
    at_work = {"queue": "q", "workers": 2, "silent_workers": 0, "unpolled_secs": 3.5, "waiting": [], "failing": []}
    return (200, json.dumps([{**at_work, **more}]), {})


A_GREET = {"kind": "workflow", "name": "Greet", "count": 4, "oldest_ready_at": 1.0, "takers": 0}


@pytest.mark.parametrize(
    ("more", "check", "text"),
    [
        ({"workers": 0, "unpolled_secs": None}, "workers", "queue q has 4 waiting and no worker"),
        (
            {"workers": 0, "silent_workers": 1, "unpolled_secs": 70.0}, "workers",
            "queue q has 4 waiting and no worker but 1 that went silent",
        ),
        ({}, "types", "queue q has 4 of workflow Greet waiting, which no worker of it takes"),
        (
            {"unpolled_secs": 300.0, "waiting": [{**A_GREET, "takers": 2}]}, "workers",
            "queue q has 4 waiting, 2 at work, and was last asked for work 5m ago",
        ),
    ],
)  # fmt: skip
def test_work_that_nobody_takes_is_told(assay, like_an_engine, more, check, text):
    found = findings(assay("--engine-url", like_an_engine(api_v1_backlog=a_backlog(**{"waiting": [A_GREET], **more}))))

    assert found.keys() == {check, "long-poll"}
    assert found[check]["text"] == text


def test_code_that_fails_is_told_with_its_message(assay, service):
    exchange, space = f"{service}/api/v1/workers/w-1/exchange", {"namespace": "ailing"}
    body = {"session": "s-1", "queue": "q", "worker": {"identity": "played by hand"}, **space}
    started = {"workflow_type": "Order", "workflow_id": "order 7", "task_queue": "q", **space}
    requests.post(f"{service}/api/v1/workflows", json=started, timeout=60).raise_for_status()
    (task,) = requests.post(exchange, json={**body, "n": 1, "workflow_slots": 5}, timeout=60).json()["workflow_tasks"]
    failure = {"cause": "KeyError", "message": "'who'\x1b[31m\nand more", "trace": "at line 7"}
    results = [{"task_token": task["task_token"], "failure": failure}]
    requests.post(exchange, json={**body, "n": 2, "workflow_results": results}, timeout=60).raise_for_status()

    found = findings(assay("--engine-url", service, "--namespace", "ailing"))["tasks"]

    assert found["text"] == "1 run of Order fails in queue q; order 7, 1 time: KeyError: 'who'\\x1b[31m"
    assert found["advice"] == (
        "See `assay workflow show 'order 7'`, mend its worker, then: assay workflow retry-now 'order 7'"
    )


def test_a_schedule_that_cannot_be_worked_on_is_told(assay, like_an_engine):
    well, ill = {"name": "daily", "error": None}, {"name": "nightly", "error": {"message": "no zone Mars", "count": 2}}

    found = findings(assay("--engine-url", like_an_engine(api_v1_schedules=(200, json.dumps([well, ill]), {}))))

    assert found.keys() == {"schedules", "long-poll"}
    assert found["schedules"]["text"] == "schedule nightly starts nothing: no zone Mars"


def test_to_look_leaves_no_trace(assay, service):
    before = [requests.get(f"{service}/api/v1/{path}", timeout=60).json() for path in ("queues", "workers")]

    assay("--engine-url", service)

    assert [requests.get(f"{service}/api/v1/{path}", timeout=60).json() for path in ("queues", "workers")] == before


def test_nobody_there_is_told_with_where_the_url_is_from(assay):
    found = findings(assay(ASSAY_ENGINE_URL="http://127.0.0.1:1"))

    assert found["reach"]["text"] == "engine unreachable at http://127.0.0.1:1: Connection refused"
    assert "the URL is from $ASSAY_ENGINE_URL" in found["reach"]["advice"]


def test_a_proxy_that_cuts_long_polls_is_told(assay, like_an_engine):
    found = findings(assay("--engine-url", like_an_engine()))

    assert found.keys() == {"long-poll"}
    assert found["long-poll"]["text"].startswith("a poll was cut after 0.")
    assert "HTTP 504" in found["long-poll"]["text"]
    assert "let it wait for 60 s, unbuffered" in found["long-poll"]["advice"]


@pytest.mark.parametrize(
    ("headers", "said"),
    [({}, "a poll of 1 s was answered after 0."), ({"Retry-After": "5"}, "the engine has no room for waiting polls")],
)
def test_a_poll_that_is_answered_at_once_is_told(assay, like_an_engine, headers, said):
    found = findings(assay("--engine-url", like_an_engine(api_v1_tasks_poll=(200, '{"task": null}', headers))))

    assert said in found["long-poll"]["text"]


@pytest.mark.parametrize(("off", "side"), [(-100, "ahead of"), (100, "behind")])
def test_clocks_that_differ_are_told(assay, like_an_engine, off, side):
    body = '{"status": "ok", "service": "assay-workflow"}'
    url = like_an_engine(livez=(200, body, {"Date": formatdate(time.time() + off, usegmt=True)}))

    text = findings(assay("--engine-url", url))["clock"]["text"]

    assert text.startswith("this host's clock is ")
    assert f" s {side} the engine's" in text


def test_another_version_is_told(assay, like_an_engine):
    found = findings(assay("--engine-url", like_an_engine(api_v1_version=(200, '{"version": "9.9"}', {}))))

    assert found["version"]["text"] == f"the engine is version 9.9, this client {__version__}"


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_told(assay, like_an_engine, status):
    found = findings(assay("--engine-url", like_an_engine(api_v1_version=(status, "{}", {}))))

    assert f"HTTP {status}" in found["key"]["text"]
    assert "ASSAY_API_KEY" in found["key"]["advice"]


def test_an_engine_that_is_not_ready_is_told(assay, like_an_engine):
    body = '{"ready": false, "database": "unavailable", "sidecar_leads": false, "draining": false}'

    found = findings(assay("--engine-url", like_an_engine(readyz=(503, body, {}))))

    assert found["ready"]["text"] == "the engine is not ready: its database is unavailable"
    assert "sidecar" not in found


def test_a_namespace_that_is_not_there_is_told(assay, service):
    found = findings(assay("--engine-url", service, "--namespace", "nowhere"))

    assert found["namespace"]["text"] == "there is no namespace nowhere"


def test_something_else_at_the_url_is_told(assay, answering):
    found = findings(assay("--engine-url", answering(lambda _: (200, "<html>Welcome!</html>", {}))))

    assert found.keys() == {"reach"}


def test_a_key_in_the_clear_is_told(assay):
    found = findings(assay("--engine-url", "http://assay.invalid:1", "--api-key", "secret"))

    assert "without encryption" in found["secrecy"]["text"]
    assert "secret" not in json.dumps(found["secrecy"])
