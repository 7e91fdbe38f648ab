"""Keys and tokens at work: the SDK's client and worker, an issuer, and both ways at the same door."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from flask import Flask

from assay_wsgi.app import create_app
from assay_wsgi.engine import Engine
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Client
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import NotFound
from assay_wsgi.sdk import Unauthorized
from assay_wsgi.settings import AuthSettings
from assay_wsgi.settings import JwtSettings
from assay_wsgi.settings import Settings
from tests.auth.issuers import issuer
from tests.auth.scenes import ask
from tests.auth.scenes import key
from tests.auth.tokens import signer
from tests.cli.stage import served

RUNS = "/api/v1/workflows"


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    """Where the service answers."""
    with served(app) as at:
        yield at


def make_app(url: str, token: str) -> Assay:
    """An app of one workflow, in the namespace `shop`."""
    made = Assay(url, token=token, namespace="shop", queue="orders")

    @made.workflow
    def Order(ctx: Context, item: str) -> str:
        return f"{item} for {ctx.wait_for_signal('who', str)}"

    return made


def test_a_worker_and_a_client_each_with_the_key_that_it_needs(engine: Engine, url: str) -> None:
    engine.namespaces.create("shop")
    worker = make_app(url, key(engine, "worker", namespaces=("shop",)))
    operator = key(engine, "operator", namespaces=("shop",))

    with worker.worker(), Client(url, operator, namespace="shop", queue="orders") as client:
        handle = client.start("Order", "lamp")
        handle.signal("who", "Ada")

        assert handle.result(timeout=60) == "lamp for Ada"
    with Client(url, worker.token, namespace="shop") as client, pytest.raises(Unauthorized, match="role operator"):
        client.start("Order", "lamp")
    with (
        Client(url, operator, namespace="hall") as client,
        pytest.raises(NotFound, match=r"namespace hall \(yours: shop\)"),
    ):
        client.start("Order", "lamp")


def test_a_worker_whose_key_may_not_work_ends_and_says_which_role_it_needs(
    engine: Engine, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(url, key(engine, "operator", namespaces=("shop",)))

    with caplog.at_level(logging.ERROR):
        code = app.run()

    assert code != 0
    assert "insufficient_role" in caplog.text
    assert "the role worker" in caplog.text


@pytest.fixture
def combined(engine: Engine) -> Iterator[tuple[Flask, object]]:
    """A service that takes keys, and tokens of an issuer whose groups give roles."""
    with issuer(signer()) as trusted:
        jwt = JwtSettings(
            issuer=trusted.url,
            audience="assay",
            role_claim="groups",
            role_map="crew=operator@shop; root=admin; watch=viewer; watch=operator@shop",
        )
        yield create_app(Settings(auth=AuthSettings(api_keys=True), jwt=jwt), engine), trusted


def test_keys_and_tokens_open_one_door_each_to_what_is_its_bearers(engine: Engine, combined: tuple) -> None:
    app, trusted = combined
    engine.namespaces.create("shop")
    now = int(engine.store.now_here())
    client, times = app.test_client(), {"iat": now, "exp": now + 600}
    crew, root = (trusted.token(groups=[group], **times) for group in ("crew", "root"))

    def start(token: str, namespace: str) -> int:
        return int(ask(client, "POST", RUNS, token, json={"workflow_type": "T", "namespace": namespace}).status_code)

    assert start(crew, "shop") == start(root, "new") == start(key(engine, "admin"), "newer") == 201
    assert start(crew, "main") == 404
    # Where a caller sees what is there, that it may not act there is said openly.
    assert start(trusted.token(groups=["watch"], **times), "main") == 403
    nobody = ask(client, "GET", RUNS, trusted.token(groups=["guests"], **times))
    assert (nobody.status_code, nobody.get_json()["code"]) == (403, "insufficient_role")
    for bad in (crew[:-2], trusted.token(audience="other", groups=["root"], **times), "a.b.c", "assay_" + "0" * 64):
        assert start(bad, "shop") == 401
    lines = ask(client, "GET", "/api/v1/audit?outcome=done", root).get_json()
    assert {line["principal"] for line in lines} >= {f"{trusted.url}#ada"}


def test_a_name_that_is_too_long_to_be_a_scope_has_keys_of_its_own_all_the_same(
    combined: tuple, engine: Engine
) -> None:
    app, trusted = combined
    now = int(engine.store.now_here())
    client = app.test_client()
    one, two = (trusted.token(groups=["root"], sub="x" * 254 + end, iat=now, exp=now + 600) for end in "ab")

    started = [
        ask(client, "POST", RUNS, token, json={"workflow_type": "T"}, headers={"Idempotency-Key": "k"})
        for token in (one, one, two)
    ]

    assert [answer.status_code for answer in started] == [201, 201, 201]
    assert len({answer.get_json()["run_id"] for answer in started}) == 2
