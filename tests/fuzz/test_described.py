"""Requests made from the API's own description, good and bad ones: every answer is one that it describes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import seed as seeded
from hypothesis import settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from assay_wsgi.settings import Settings

if TYPE_CHECKING:
    from flask import Flask

EXAMPLES = 200 if os.environ.get("ASSAY_TEST_LONG") else 8  # of each kind, for each operation
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The service over a SQLite database, where nobody waits for work and streams end with their first word."""
    from assay_wsgi.api import feeds
    from assay_wsgi.app import create_app
    from assay_wsgi.engine import Engine
    from assay_wsgi.store import fsck

    engine = Engine.open(f"sqlite://{tmp_path}/assay.db")
    monkeypatch.setattr(feeds, "engine_draining", lambda: lambda: True)
    service = Settings()
    yield create_app(replace(service, http=replace(service.http, long_poll_max_secs=0.0)), engine)
    assert fsck.check(engine.store) == []
    engine.close()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.timeout(1800)
# Said, now and then, of the generator's own draws: they are what ASSAY_TEST_SEED does not repeat.
@pytest.mark.filterwarnings("ignore:Do not use the .random. module:hypothesis.errors.HypothesisDeprecationWarning")
def test_every_answer_is_one_that_the_description_allows(app: Flask, mode: GenerationMode) -> None:
    """Of all bodies and parameters; texts that old workers' empty tables are, too."""
    seed = int(os.environ.get("ASSAY_TEST_SEED") or int.from_bytes(os.urandom(4)))
    print(f"ASSAY_TEST_SEED={seed}")
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    asked = set()

    for found in schema.get_all_operations():
        operation = found.ok()

        @seeded(seed)
        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            response = case.call()
            asked.add(case.operation.label)
            case.validate_response(response, checks=CHECKS)

        if mode is GenerationMode.POSITIVE or _can_be_wrong(operation):
            ask()

    assert len(asked) >= 30


def _can_be_wrong(operation: Any) -> bool:
    return bool(operation.body or operation.path_parameters or operation.query)
