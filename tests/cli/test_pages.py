"""Lists that are longer than the longest page of the API are printed whole, each record once and in order."""

from __future__ import annotations

import json

import pytest

from assay_wsgi.app import create_app
from assay_wsgi.cli.workflow.reading import PAGE
from assay_wsgi.engine import Engine
from assay_wsgi.settings import Settings
from tests.api.played_worker import WorkerOverHttp
from tests.cli.stage import call
from tests.cli.stage import served

MORE = PAGE + 1
NOTES = 999  # a turn has at most 1,000 commands; with its first and last event the history has one too many for a page


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """The URL of a service with a run of more events than a page takes, and with more runs."""
    engine = Engine.open(f"sqlite://{tmp_path_factory.mktemp('crowded')}/assay.db")
    app = create_app(Settings(), engine)
    client = app.test_client()
    client.post("/api/v1/workflows", json={"workflow_type": "Long", "workflow_id": "long-1"})
    worker = WorkerOverHttp(client)
    notes = [{"type": "RecordSideEffect", "seq": n, "name": f"n{n}", "value": n} for n in range(1, NOTES + 1)]
    outcome = worker.turn(worker.task()["task_token"], *notes, {"type": "CompleteWorkflow", "result": None})
    assert "error" not in outcome
    with served(app) as url:
        yield url
    engine.close()


@pytest.fixture(autouse=True)
def there(monkeypatch, crowded, tmp_path):
    monkeypatch.setenv("ASSAY_ENGINE_URL", crowded)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def lines(said):
    assert (said.code, said.err) == (0, "")
    return [json.loads(line) for line in said.out.splitlines()]


def test_all_runs_are_listed_over_pages(monkeypatch):
    starts = "".join(f'{{"workflow_type": "Many", "workflow_id": "many-{n}"}}\n' for n in range(MORE))
    assert len(lines(call(monkeypatch, "workflow", "start-batch", "-", "-o", "jsonl", stdin=starts))) == MORE

    newest_first = [f"many-{n}" for n in reversed(range(MORE))]
    for words in ("--all", f"--limit {MORE}", f"--limit {MORE + 1}"):
        listed = lines(call(monkeypatch, *f"workflow list --type Many -o jsonl {words}".split()))
        assert [run["id"] for run in listed] == newest_first
    listed = lines(call(monkeypatch, *["workflow", "list", "--type", "Many", "-o", "jsonl", "--all", "--offset", "1"]))
    assert [run["id"] for run in listed] == newest_first[1:]
    table = call(monkeypatch, *["workflow", "list", "--type", "Many", "-o", "table", "--all"]).out.splitlines()
    assert [row.split()[0] for row in table] == ["ID", *newest_first]
    assert (
        len(json.loads(call(monkeypatch, *["workflow", "list", "--type", "Many", "-o", "json", "--all"]).out)) == MORE
    )


def test_all_events_are_printed_over_pages(monkeypatch):
    printed = lines(call(monkeypatch, *["workflow", "events", "long-1", "-o", "jsonl"]))
    backwards = lines(call(monkeypatch, *["workflow", "events", "long-1", "-o", "jsonl", "--order", "desc"]))
    cut = lines(call(monkeypatch, *f"workflow events long-1 -o jsonl --limit {MORE}".split()))
    followed = call(monkeypatch, *["workflow", "events", "long-1", "-o", "jsonl", "--follow"])

    assert [event["seq"] for event in printed] == list(range(1, len(printed) + 1))
    assert sum(event["event_type"] == "SideEffectRecorded" for event in printed) == NOTES
    assert len(printed) == MORE
    assert backwards == printed[::-1]
    assert cut == printed[:MORE]
    assert [json.loads(line) for line in followed.out.splitlines()] == printed


def test_a_run_is_shown_with_the_steps_of_every_page(monkeypatch):
    shown = call(monkeypatch, *["workflow", "show", "long-1", "-o", "table"]).out.split()

    assert {f"n{n}" for n in range(1, NOTES + 1)} <= set(shown)
