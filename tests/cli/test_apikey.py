"""API keys made on the service's host: in its database, without the service."""

from __future__ import annotations

import json

import pytest

from tests.cli.stage import call


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def apikey(monkeypatch, backend):
    """Call `assay apikey` on a database that nobody has made yet."""

    def run(*arguments):
        return call(monkeypatch, "apikey", *arguments, "--backend", backend)

    return run


def test_the_first_key_is_made_on_the_host_and_so_are_the_rest(apikey):
    first = json.loads(apikey("create", "--label", "root").out)
    worker = json.loads(apikey("create", "--label", "w", "--role", "worker", "--in", "shop", "--expires-in", "1d").out)
    again = json.loads(apikey("create", "--label", "w", "--idempotent").out)

    assert (first["roles"], first["namespaces"], first["created_by"]) == (["admin", "worker"], None, "host")
    assert (worker["roles"], worker["namespaces"]) == (["worker"], ["shop"])
    assert worker["expires_at"] == pytest.approx(worker["created_at"] + 86_400)
    assert (again["prefix"], "plaintext" in again) == (worker["prefix"], False)
    assert [key["label"] for key in json.loads(apikey("list").out)] == ["root", "w"]
    assert [key["label"] for key in json.loads(apikey("list", "--namespace", "shop").out)] == ["w"]


def test_keys_are_rotated_and_revoked_on_the_host(apikey):
    root = json.loads(apikey("create").out)
    rotated = json.loads(apikey("rotate", root["prefix"], "--grace", "0s").out)
    last = apikey("revoke", rotated["prefix"])
    json.loads(apikey("create").out)

    assert rotated["plaintext"] != root["plaintext"]
    assert last.code == 1
    assert "is the last key of an admin of all namespaces" in last.err
    assert apikey("revoke", rotated["prefix"]).code == 0
    assert rotated["prefix"] not in [key["prefix"] for key in json.loads(apikey("list").out)]


def test_a_key_that_is_not_there_is_said_to_be_so(apikey):
    said = apikey("revoke", "assay_00000000")

    assert said.code == 1
    assert "not found: API key assay_00000000" in said.err


def test_a_whole_key_is_shown_nowhere(apikey):
    key = "assay_" + "ab" * 32

    for said in (apikey("revoke", key), apikey("rotate", key)):
        assert said.code == 1
        assert "not found: API key assay_abababab" in said.err
        assert key not in said.out + said.err


def test_assays_own_options_make_a_key_and_list_keys(monkeypatch, backend):
    made = call(monkeypatch, "serve", "--backend", backend, "--generate-api-key")
    listed = call(monkeypatch, "serve", "--backend", backend, "--list-api-keys")

    key = made.out.strip()
    assert (made.code, len(key), key[:6]) == (0, 70, "assay_")
    assert made.err.startswith(f"{key[:14]}...")
    assert listed == (0, f"{key[:14]}...  -\n", "")
    assert key not in listed.out + made.err


def test_a_database_in_memory_has_no_keys_to_keep(monkeypatch):
    said = call(monkeypatch, "apikey", "create", "--backend", "sqlite://:memory:")

    assert said.code == 2
    assert "name the service's database" in said.err
