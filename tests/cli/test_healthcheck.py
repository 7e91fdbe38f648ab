"""`assay healthcheck`: an exit code for Docker, whatever answers."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from assay_wsgi.cli.main import cli


@pytest.fixture
def assay():
    def run(*arguments, **environ):
        return CliRunner().invoke(cli, ["healthcheck", *arguments], env=environ)

    return run


def test_a_service_that_lives_and_is_ready(assay, service):
    alive = assay("--engine-url", service)
    ready = assay("--ready", ASSAY_ENGINE_URL=service)

    assert (alive.exit_code, ready.exit_code) == (0, 0)
    assert json.loads(alive.output) == {"status": "ok", "service": "assay-workflow"}
    assert json.loads(ready.output)["ready"] is True
    assert assay("--engine-url", service, "-o", "table").output == "alive\n"
    assert assay("--engine-url", service, "-o", "table", "--ready").output == "ready\n"


def test_a_proxy_of_the_environment_does_not_stand_between_a_host_and_itself(assay, service):
    assert assay("--engine-url", service, http_proxy="http://127.0.0.1:1").exit_code == 0


def test_nobody_there(assay):
    result = assay("--engine-url", "http://127.0.0.1:1")

    assert result.exit_code == 1
    assert result.output == "error: engine unreachable at http://127.0.0.1:1: Connection refused\n"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            503,
            '{"ready": false, "database": "unavailable", "draining": false}',
            "HTTP 503: its database is unavailable",
        ),
        (503, '{"ready": false, "database": "ok", "draining": true}', "HTTP 503: it is ending"),
        (200, "<html>Welcome to nginx!</html>", "something answers that is no assay engine"),
        (200, '{"service": "another"}', "something answers that is no assay engine"),
        (502, "<html>Bad Gateway</html>", "HTTP 502: is this an assay engine?"),
    ],
)
def test_what_answers_but_is_not_well_is_told(assay, answering, status, body, said):
    result = assay("--ready", "--engine-url", answering(lambda _: (status, body, {})))

    assert result.exit_code == 1
    assert said in result.output


def test_a_redirect_is_not_followed(assay, answering, service):
    result = assay("--engine-url", answering(lambda path: (302, "", {"Location": service + path})))

    assert result.exit_code == 1
    assert "HTTP 302" in result.output


def test_a_url_that_cannot_be_meant_is_named(assay):
    result = assay("--engine-url", "localhost:8080")

    assert result.exit_code == 1
    assert "'localhost:8080' is no URL of an engine" in result.output
