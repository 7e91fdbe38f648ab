"""Following runs while the service comes and goes: a fake of a service that is being started again."""

from __future__ import annotations

import json

import pytest
from werkzeug import Request
from werkzeug import Response

from tests.cli.stage import call
from tests.cli.stage import served

RUN = {
    "id": "r-1",
    "run_id": "run-r-1-1",
    "status": "RUNNING",
    "last_seq": 1,
    "close_reason": None,
    "error": None,
    "task_failure": None,
}
DONE = {**RUN, "status": "COMPLETED", "close_reason": "completed", "result": '"done"', "waiting_for": None}


def told(workflow_id):
    """A page of the feed with one notice."""
    payload = json.dumps({"namespace": "main", "run_id": f"run-{workflow_id}-1", "at": 1.5})
    notice = {"id": workflow_id, "event_type": "workflow_running", "workflow_id": workflow_id, "payload": payload}
    return {"events": [notice], "cursor": workflow_id, "reset": None, "more": False, "retry_after": None}


class Restarting:
    """Answers each look by the next of its words, the last one for ever: a record, or None for 503."""

    def __init__(self, *words):
        self.words = list(words)

    def __call__(self, environ, start_response):
        if Request(environ).method == "POST":
            answer, status = {"workflow_id": "r-1", "run_id": "run-r-1-1"}, 201
        else:
            word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
            answer, status = (word, 200) if word else ({"error": "starting", "code": "unavailable"}, 503)
        return Response(json.dumps(answer), status, content_type="application/json")(environ, start_response)


@pytest.mark.parametrize(
    ("words", "looks"),
    [
        ("workflow wait r-1", (RUN, None, DONE)),
        ("workflow result r-1", (RUN, None, DONE)),
        ("workflow run --type T --quiet", (None, DONE)),  # it is started: its first look is forgiven, too
        ("events --follow --after oldest --limit 2", (told("r-1"), None, told("r-2"))),
    ],
)
def test_who_follows_outlives_a_restart(words, looks, monkeypatch):
    with served(Restarting(*looks)) as url:
        said = call(monkeypatch, *words.split(), "--engine-url", url)

    assert said.code == 0
    assert "503 unavailable: starting; asking again for 30 s" in said.err


@pytest.mark.parametrize("words", ["workflow wait r-1", "events --follow"])
def test_of_the_very_first_look_nothing_is_forgiven(words, monkeypatch):
    with served(Restarting(None)) as url:
        said = call(monkeypatch, *words.split(), "--engine-url", url)

    assert (said.code, "asking again" in said.err) == (1, False)


def test_the_time_is_up_whether_or_not_the_service_is_there(monkeypatch):
    with served(Restarting(RUN, None)) as url:
        said = call(monkeypatch, "workflow", "wait", "r-1", "--timeout", "0.3", "--engine-url", url)

    assert said.code == 2
    assert "starting; 0.3 s are over" in said.err
