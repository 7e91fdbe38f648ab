"""A short run of the raw fuzzer; `make fuzz` is the long one."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.api.test_bad_input import routes
from tests.fuzz.raw import CORPUS
from tests.fuzz.raw import Bender
from tests.fuzz.raw import fuzz
from tests.live import live

REQUESTS = 5000


def test_broken_requests_break_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("ASSAY_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"ASSAY_TEST_SEED={seed}")

    with live(tmp_path) as service:
        verdict = fuzz(service, REQUESTS, seed)

    assert verdict.faults == []
    assert sum(verdict.statuses.values()) >= REQUESTS
    # It reaches all the way in: some are taken, some refused at each of the doors.
    assert {200, 201, 400, 404, 405, 409, 415, 422} <= verdict.statuses.keys()


def test_the_same_seed_makes_the_same_requests() -> None:
    first, second, other = Bender("7"), Bender("7"), Bender("8")

    made = [first.request() for _ in range(200)]
    assert made == [second.request() for _ in range(200)]
    assert made != [other.request() for _ in range(200)]


def test_every_route_is_in_the_corpus(door) -> None:
    adapter = door.application.url_map.bind("localhost")
    known = {adapter.match(target.partition("?")[0].replace("%2F", "-"), method)[0] for method, target, _ in CORPUS}

    missing = {rule.endpoint for _, _, rule, _ in routes(door)} - known
    assert missing == set()
