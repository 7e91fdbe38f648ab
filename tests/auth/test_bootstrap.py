"""The first key: made once, by who is on the host or has the token for it, and never again."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from assay_wsgi.app import create_app
from assay_wsgi.engine import Engine
from assay_wsgi.settings import AuthSettings
from assay_wsgi.settings import Settings
from tests.auth.scenes import ask
from tests.auth.scenes import key

KEYS = "/api/v1/api-keys"
TOKEN = "t" * 32


@pytest.fixture
def backend(sqlite_url: str) -> str:
    """One kind will do: tests/races has the first key, and tests/engine its crashes, on both."""
    return sqlite_url


def first(client: FlaskClient, credential: str | None = None, **more: Any) -> Any:
    return ask(client, "POST", KEYS, credential, **{"json": {}, **more})


def test_the_first_key_needs_none_on_the_host_and_the_second_does(client: FlaskClient) -> None:
    made = first(client)
    again = first(client)
    second = first(client, made.get_json()["plaintext"])

    assert (made.status_code, again.status_code, second.status_code) == (201, 401, 201)
    assert (made.get_json()["created_by"], made.get_json()["roles"]) == ("bootstrap", ["admin", "worker"])
    assert second.get_json()["created_by"] == f"key:{made.get_json()['plaintext'][:14]}"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_who_comes_through_a_proxy_is_not_on_the_host(client: FlaskClient, header: str) -> None:
    assert first(client, headers={header: "127.0.0.1"}).status_code == 401


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}, {"Host": "[::"}]
)
def test_a_page_in_a_browser_on_the_host_makes_no_key(client: FlaskClient, headers: dict[str, str]) -> None:
    assert first(client, headers=headers).status_code == 401


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"])
def test_a_program_on_the_host_may_call_it_by_any_of_its_names(client: FlaskClient, host: str) -> None:
    assert first(client, headers={"Host": host}).status_code == 201


def test_who_comes_from_elsewhere_is_not_on_the_host(client: FlaskClient) -> None:
    assert first(client, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 401


def test_the_token_for_it_makes_the_first_key_from_anywhere_once(engine: Engine) -> None:
    settings = Settings(auth=AuthSettings(api_keys=True, bootstrap_token=TOKEN))
    client = create_app(settings, engine).test_client()
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}

    wrong = first(client, "u" * 32, environ_base=elsewhere)
    made = first(client, TOKEN, environ_base=elsewhere)
    again = first(client, TOKEN, environ_base=elsewhere)
    for_anything_else = ask(client, "GET", KEYS, TOKEN)

    assert [one.status_code for one in (wrong, made, again, for_anything_else)] == [401, 201, 401, 401]
    assert TOKEN not in repr(settings)


def test_a_key_made_on_the_host_closes_the_door_for_the_first(engine: Engine, client: FlaskClient) -> None:
    key(engine, "viewer")

    assert first(client).status_code == 401


def test_a_first_key_that_is_refused_leaves_the_door_open(client: FlaskClient) -> None:
    for less in ({"roles": ["owner"]}, {"roles": ["viewer"]}, {"namespaces": ["shop"]}):
        assert first(client, json=less).status_code == 422
    assert first(client).status_code == 201


def test_the_repeat_of_a_request_does_not_show_the_key_again(client: FlaskClient) -> None:
    admin = first(client).get_json()["plaintext"]
    named = {"headers": {"Idempotency-Key": "k"}, "json": {"label": "packer"}}

    one, two = (first(client, admin, **named) for _ in range(2))
    rotated = [
        ask(
            client,
            "POST",
            f"{KEYS}/{one.get_json()['prefix']}/rotate",
            admin,
            json={},
            headers={"Idempotency-Key": "r"},
        )
        for _ in range(2)
    ]

    assert (one.status_code, two.status_code) == (201, 201)
    secret = one.get_json()["plaintext"]
    assert {**two.get_json(), "plaintext": secret} == one.get_json()
    assert rotated[0].get_json()["prefix"] == rotated[1].get_json()["prefix"]
    assert "plaintext" not in rotated[1].get_json()


def test_no_secret_is_kept(engine: Engine, client: FlaskClient) -> None:
    admin = first(client, headers={"Idempotency-Key": "k"}).get_json()["plaintext"]

    with engine.store.read() as db:
        tables = [table for (table,) in db.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = [str(db.rows(f"SELECT * FROM {table}")) for table in tables]

    assert len(tables) > 20
    assert not any(admin[14:] in text for text in kept)


def test_the_last_key_of_an_admin_stays_where_keys_are_asked_for(engine: Engine, client: FlaskClient) -> None:
    admin = key(engine, "admin")

    kept = ask(client, "DELETE", f"{KEYS}/{admin[:14]}", admin)
    open_to_all = create_app(Settings(), engine).test_client().delete(f"{KEYS}/{admin[:14]}")

    assert (kept.status_code, kept.get_json()["code"]) == (409, "last_admin_key")
    assert open_to_all.status_code == 204  # anybody could make another one
