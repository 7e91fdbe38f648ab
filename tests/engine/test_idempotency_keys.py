"""Idempotency keys: every method that changes something takes one, and then does it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.errors import IdempotencyKeyReused
from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import Registration
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import SentSignal
from assay_wsgi.domain.requests import WorkerInfo
from tests.engine.stories import QUEUE
from tests.engine.stories import a_start
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_run
from tests.engine.stories import rows

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

KEY = Idempotency(scope="anonymous", key="k1", hash="h1")
RUN = RunRef(workflow_id="w", namespace="main")
Method = Callable[["Engine", Idempotency], Any]

METHODS: dict[str, Method] = {
    "start": lambda engine, key: engine.workflows.start(a_start("new", id_conflict="terminate_existing"), key),
    "start without an id": lambda engine, key: engine.workflows.start(a_start(None), key),
    "start_batch": lambda engine, key: engine.workflows.start_batch([a_start("a"), a_start("b")], key),
    "signal": lambda engine, key: engine.workflows.signal(RUN, "go", idempotency=key),
    "signal_with_start": lambda engine, key: engine.workflows.signal_with_start(
        a_start(), SentSignal(name="go"), idempotency=key
    ),
    "cancel": lambda engine, key: engine.workflows.cancel(RUN, idempotency=key),
    "terminate": lambda engine, key: engine.workflows.terminate(RUN, idempotency=key),
    "add an activity": lambda engine, key: engine.activities.add(RUN, an_activity(), idempotency=key),
    "register": lambda engine, key: engine.workers.register(
        Registration(info=WorkerInfo(identity="me"), queue=QUEUE), idempotency=key
    ),
    "create a namespace": lambda engine, key: engine.namespaces.create("zoo", idempotency=key),
    "delete a namespace": lambda engine, key: engine.namespaces.delete("shop", idempotency=key),
    "delete with all": lambda engine, key: engine.namespaces.delete_with_all("shop", idempotency=key),
}
TABLES = (
    "workflows", "workflow_events", "workflow_tasks", "workflow_activities", "workflow_signals", "workflow_workers",
    "namespaces", "idempotency_keys",
)  # fmt: skip


def _all(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    return {table: sorted(rows(engine, f"SELECT * FROM {table}"), key=repr) for table in TABLES}


@pytest.mark.parametrize("name", METHODS)
def test_under_a_key_it_is_done_once_and_the_first_answer_stands(engine: Engine, clock: Clock, name: str) -> None:
    method = METHODS[name]
    given_a_run(engine)
    engine.namespaces.create("shop")
    before = _all(engine)
    first = method(engine, KEY)
    after = _all(engine)
    assert after != before
    clock.advance(60.0)

    again = method(engine, KEY)

    assert again == first
    assert _all(engine) == after
    with pytest.raises(IdempotencyKeyReused):
        _raised(method(engine, replace(KEY, hash="another")))
    assert _all(engine) == after


def _raised(answer: Any) -> Any:
    """A batch gives its refusals instead of raising them."""
    if isinstance(answer, list):
        raise answer[0]
    return answer


def test_a_refusal_is_not_kept(engine: Engine) -> None:
    with pytest.raises(NotFound):
        engine.workflows.signal(RUN, "go", idempotency=KEY)
    run = given_a_run(engine)

    assert engine.workflows.signal(RUN, "go", idempotency=KEY)["run_id"] == run.run_id


def test_each_caller_has_keys_of_its_own(engine: Engine) -> None:
    given_a_run(engine)

    seqs = [
        engine.workflows.signal(RUN, "go", idempotency=replace(KEY, scope=scope))["event_seq"]
        for scope in ("ann", "bob", "ann")
    ]

    assert seqs == [2, 3, 2]


def test_a_callers_own_key_is_never_that_of_an_item_of_a_batch(engine: Engine) -> None:
    engine.workflows.start_batch([a_start("a"), a_start("b")], KEY)

    for looks_alike in ("k1#1", "k1/1", "k1-1"):
        engine.workflows.start(a_start(f"of-{looks_alike}"), replace(KEY, key=looks_alike, hash="another"))
    stored = {key for (key,) in rows(engine, "SELECT key FROM idempotency_keys")}
    assert stored == {"k1", "k1 1", "k1#1", "k1/1", "k1-1"}


@pytest.mark.parametrize("key", ["", "k 1", "k\x001", "k\u00e9", "k" * 256, 5])
def test_a_key_that_cannot_be_sent_is_refused_of_an_embedder_too(engine: Engine, key: Any) -> None:
    with pytest.raises(Invalid, match="an Idempotency-Key is 1 to 255 visible ASCII characters"):
        engine.workflows.start(a_start("a"), replace(KEY, key=key))
