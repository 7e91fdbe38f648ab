"""What several processes make of the same keys."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from assay_wsgi.auth.door import Door
from assay_wsgi.domain.errors import Unauthorized
from assay_wsgi.engine import Engine
from tests.auth.scenes import KEYED
from tests.auth.scenes import ask
from tests.auth.scenes import key
from tests.contract.service import serving
from tests.processes import until

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def backend(postgres_url: str) -> str:
    """The kind that several hosts share; the other is in tests/races."""
    return postgres_url


@pytest.fixture
def other(engine: Engine, backend: str) -> Iterator[Any]:
    """Asks another process whether it lets a key's bearer in."""
    argv = [sys.executable, "-m", "tests.auth.another_process", backend]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def admits(token: str) -> bool:
            process.stdin.write(f"{token}\n")
            process.stdin.flush()
            return process.stdout.readline().strip() != "refused"

        yield admits
        process.stdin.close()


def test_a_key_that_is_revoked_in_one_process_stops_in_the_others(engine: Engine, other: Any) -> None:
    key(engine, "admin")
    token, door = key(engine, "viewer"), Door.of(KEYED, engine.store)
    assert door.admit(token, address="")
    assert other(token)

    engine.api_keys.revoke(token[:14])

    until(lambda: not other(token))  # test_api_keys.py has the clock that says within which time
    with pytest.raises(Unauthorized):
        Door.of(KEYED, engine.store).admit(token, address="")


def test_of_fifty_who_ask_for_the_first_key_at_once_one_gets_it(engine: Engine, app: Flask) -> None:
    def first(_: int) -> int:
        return int(ask(app.test_client(), "POST", "/api/v1/api-keys", json={}).status_code)

    with ThreadPoolExecutor(50) as crowd:
        answered = sorted(crowd.map(first, range(50)))

    assert answered == [201] + [401] * 49
    assert len(engine.api_keys.list()) == 1


@pytest.mark.slow
def test_two_services_on_one_database_know_the_same_keys(backend: str, tmp_path: Path) -> None:
    with ExitStack() as services:
        one, two = (
            services.enter_context(serving(backend, tmp_path / f"{n}.log", "--auth-api-key", *options))
            for n, options in enumerate([(), ("--no-sidecar",)])
        )
        keys, other_keys = (f"{service.root}/api/v1/api-keys" for service in (one, two))
        with ThreadPoolExecutor(50) as crowd:
            answers = list(
                crowd.map(lambda n: requests.post(keys if n % 2 else other_keys, json={}, timeout=60), range(50))
            )
        assert sorted(answer.status_code for answer in answers) == [201] + [401] * 49
        root = {"Authorization": f"Bearer {next(a.json()['plaintext'] for a in answers if a.ok)}"}
        made = requests.post(keys, json={"roles": ["viewer"]}, headers=root, timeout=60).json()
        viewer = {"Authorization": f"Bearer {made['plaintext']}"}
        runs = [f"{service.root}/api/v1/workflows" for service in (one, two)]
        assert [requests.get(url, headers=viewer, timeout=60).status_code for url in runs] == [200, 200]

        assert requests.delete(f"{keys}/{made['prefix']}", headers=root, timeout=60).status_code == 204

        for url in runs:
            until(lambda url=url: requests.get(url, headers=viewer, timeout=60).status_code == 401)
        logs = "".join((tmp_path / f"{n}.log").read_text() for n in range(2))
        assert made["plaintext"] not in logs
        assert root["Authorization"].partition(" ")[2] not in logs
