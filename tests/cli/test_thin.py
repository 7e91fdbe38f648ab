"""What talks to a service over HTTP loads nothing of the service."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"flask", "werkzeug", "peewee", "psycopg", "marshmallow", "apispec", "apscheduler", "gunicorn"}
OURS = ("app", "api", "engine", "store", "sidecar")

_PROBE = """
import json, sys
from assay_wsgi.__main__ import main
sys.argv = ["assay", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print("\\n" + json.dumps(sorted(sys.modules)))
"""


def loaded(*arguments):
    """The modules that a call of the command has loaded."""
    done = subprocess.run([sys.executable, "-c", _PROBE, *arguments], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "call",
    [
        ("worker", "list", "--engine-url", "http://127.0.0.1:1"),
        ("worker", "list", "--engine-url", "http://127.0.0.1:1", "--output", "yaml"),
        ("config", "show"),
        ("schedule", "check", "0 2 * * *", "--timezone", "Europe/Berlin"),
        ("completion", "elvish"),
        ("--help",),
    ],
)
def test_a_thin_command_loads_neither_flask_nor_peewee_nor_the_store(call):
    modules = loaded(*call)

    assert modules & HEAVY == set()
    assert {name for name in modules if name.startswith(tuple(f"assay_wsgi.{room}" for room in OURS))} == set()


def test_a_health_check_loads_no_library_but_click():
    modules = loaded("healthcheck", "--engine-url", "http://127.0.0.1:1")

    assert modules & {"requests", "urllib3", "yaml", "orjson"} == set()


def test_to_try_a_cron_expression_out_asks_nobody():
    assert "requests" not in loaded("schedule", "check", "0 2 * * *")


def test_help_does_not_even_load_the_http_library():
    assert "requests" not in loaded("worker", "list", "--help")
