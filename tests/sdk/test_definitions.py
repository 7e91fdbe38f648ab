"""What decorators and `.options(...)` make of their settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry

app = Assay()


@app.activity(
    retry=Retry(max_attempts=9, initial=timedelta(milliseconds=500), max_interval=timedelta(minutes=1)),
    timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=5),
    schedule_to_start=60,
    schedule_to_close=timedelta(hours=1),
)
def fetch(url: str) -> str:
    return url


@app.workflow(name="nightly", queue="night", run_timeout=timedelta(hours=1))
def Nightly(ctx: Context, day: str) -> str:
    return day


def test_an_activitys_durations_are_seconds_on_the_wire() -> None:
    command = fetch.command

    assert {name: value for name, value in command.items() if name.endswith("_secs")} == {
        "initial_interval_secs": 0.5,
        "max_interval_secs": 60.0,
        "start_to_close_secs": 120.0,
        "heartbeat_timeout_secs": 5.0,
        "schedule_to_start_secs": 60.0,
        "schedule_to_close_secs": 3600.0,
    }


def test_options_change_a_copy_and_only_what_they_name() -> None:
    changed = fetch.options(retry={"initial": timedelta(seconds=3)}, schedule_to_close=None, queue="q")

    assert (changed.retry.max_attempts, changed.command["initial_interval_secs"]) == (9, 3.0)
    assert "schedule_to_close_secs" not in changed.command
    assert changed.command["start_to_close_secs"] == 120.0
    assert (changed.queue, fetch.queue, changed.name) == ("q", None, "fetch")
    assert fetch.command["schedule_to_close_secs"] == 3600.0
    assert fetch.options(retry=Retry(1)).retry == Retry(1)


def test_a_workflows_options_change_a_copy_too() -> None:
    changed = Nightly.options(run_timeout=None, execution_timeout=7)

    assert (changed.name, changed.queue) == ("nightly", "night")
    assert (changed.run_timeout, changed.execution_timeout) == (None, 7.0)
    assert (Nightly.run_timeout, Nightly.execution_timeout) == (3600.0, None)
    assert changed(None, "monday") == "monday"


@pytest.mark.parametrize("definition", [fetch, Nightly])
def test_an_option_that_is_none_is_named(definition: Any) -> None:
    with pytest.raises(TypeError, match=r"no such option of an? (activity|workflow): timout"):
        definition.options(timout=3)
