"""What a program hands in is refused before any of it is written, in words that name it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.requests import SentSignal
from assay_wsgi.domain.requests import StartRun
from tests.engine.stories import Played
from tests.engine.stories import a_start
from tests.engine.stories import given_a_run
from tests.engine.stories import history

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (("",), {}, "workflow_type must be a text"),
        (("T", 7), {}, "workflow_id must be a text"),
        (("T", ""), {}, "workflow_id must be a text"),
        (("T", "a\x00b"), {}, "without NUL"),
        (("T", "w"), {"namespace": ""}, "namespace must be a text"),
        (("T", "w"), {"task_queue": None}, "task_queue must be a text"),
        (("T", "w"), {"run_timeout_secs": -1}, "run_timeout_secs must be a number of seconds above 0"),
        (("T", "w"), {"execution_timeout_secs": "5"}, "execution_timeout_secs must be a number"),
        (("T", "w"), {"id_reuse": "bogus"}, "id_reuse is one of allow"),
        (("T", "w"), {"id_conflict": "bogus"}, "id_conflict is one of fail"),
        (("T", "w"), {"input": float("nan")}, "JSON"),
        (("T", "w"), {"search_attributes": ["a"]}, "search_attributes: they are an object"),
        (("T", "w"), {"search_attributes": {"a\x00": 1}}, "must not hold NUL"),
        (("T", "w"), {"search_attributes": {"a": ["b\x00"]}}, "must not hold NUL"),
        (("T", "w"), {"search_attributes": {"a": "\ud800"}}, "surrogate"),
        (("T", "w"), {"search_attributes": {"a": float("inf")}}, "a number is finite"),
        (("T", "w"), {"search_attributes": {"a": 2**63}}, "at most 64 bits"),
        (("T", "w"), {"search_attributes": {"": 1}}, "a name is a text of 1 to 255"),
        (("T", "w"), {"search_attributes": {"a": object()}}, "JSON values"),
        (("T", "w"), {"search_attributes": {"a": "x" * 41_000}}, "at most 40960 bytes"),
        (("T", "w"), {"search_attributes": {str(n): n for n in range(101)}}, "at most 100"),
    ],
)
def test_a_start_that_cannot_be_meant_is_refused(
    engine: Engine, arguments: tuple[Any, ...], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        engine.workflows.start(*arguments, **options)


@pytest.mark.parametrize("text", ["hello", "{", "NaN", b"1", '{"a":1}x'])
def test_a_payload_that_is_no_json_never_reaches_a_worker(engine: Engine, text: Any) -> None:
    """Sent as it is, it made the answer unreadable that carried the work of others, too."""
    run = given_a_run(engine)

    for act in (
        lambda: engine.workflows.start(StartRun(workflow_type="T", input=text)),
        lambda: engine.workflows.signal(run, "go", text),
        lambda: engine.workflows.signal_with_start(a_start("w"), SentSignal(name="go", payload=text)),
        lambda: engine.workflows.continue_as_new(run, ContinueAsNew(input=text)),
    ):
        with pytest.raises(Invalid, match="must be JSON text"):
            act()

    assert history(engine, run) == ["WorkflowStarted"]
    assert Played(engine).takes()["workflow_id"] == "w"


def test_a_signal_has_one_payload_and_a_reason_is_a_text(engine: Engine) -> None:
    run = given_a_run(engine)

    with pytest.raises(Invalid, match="not both"):
        engine.workflows.signal(run, "go", "1", value=2)
    with pytest.raises(Invalid, match="the signal's name"):
        engine.workflows.signal(run, "")
    for act in (engine.workflows.cancel, engine.workflows.terminate):
        with pytest.raises(Invalid, match="a reason is a text"):
            act(run, 5)  # type: ignore[arg-type]
