"""What may be done to API keys, decided over all that there are."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.domain import keys
from assay_wsgi.domain.change import Change
from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.errors import KeyReplaced
from assay_wsgi.domain.errors import LastAdminKey
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import PrefixTaken
from assay_wsgi.domain.errors import Unauthorized
from assay_wsgi.domain.model import ApiKey
from assay_wsgi.domain.requests import NewKey
from assay_wsgi.domain.tokens import hashed

NOW = 1_000_000.0


def secret(first: str) -> str:
    return "assay_" + first.ljust(64, "0")


def made(
    *there: ApiKey, first: str = "a1", where: Any = None, was_made: bool = True, now: float = NOW, **wanted: Any
) -> Change:
    return keys.create(there, NewKey(**wanted), secret(first), where, "ada", now, was_made=was_made)


def key(first: str = "a1", **more: Any) -> ApiKey:
    (new,) = made(first=first, **more).api_keys
    return new


def test_a_new_key_is_kept_as_its_hash_and_shown_by_its_prefix():
    change = made(label="packer", roles=("worker",), namespaces=("shop",), expires_in_secs=60)

    (new,) = change.api_keys
    assert (new.key_hash, new.prefix) == (hashed(secret("a1")), "assay_a1000000...")
    assert change.answer == {
        "created": True,
        "key": {
            "prefix": "assay_a1000000...", "label": "packer", "roles": ["worker"], "namespaces": ["shop"],
            "created_by": "ada", "created_at": NOW, "expires_at": NOW + 60, "last_used_at": None, "replaced_by": None,
        },
    }  # fmt: skip


def test_a_key_that_names_no_namespaces_is_for_all_that_its_maker_manages():
    assert keys.namespaces_of(key()) is None
    assert keys.namespaces_of(key(where=frozenset({"shop", "hall"}))) == {"shop", "hall"}
    assert keys.namespaces_of(key(where="shop")) == {"shop"}


def test_a_first_key_is_made_only_while_none_was_ever_made():
    assert made(was_made=False).answer["created"]
    assert keys.create((), NewKey(first=True), secret("a1"), None, "x", NOW, was_made=False).answer["created"]
    with pytest.raises(Unauthorized):
        keys.create((), NewKey(first=True), secret("a1"), None, "x", NOW, was_made=True)


def test_no_two_keys_have_one_prefix_not_even_where_one_is_revoked():
    there = key()._replace(revoked_at=NOW)

    with pytest.raises(PrefixTaken):
        made(there, first="a1")


def test_a_live_key_of_the_label_will_do_for_who_says_so():
    there = key(label="packer")

    change = made(there, first="b2", label="packer", idempotent=True)

    assert (change.answer["created"], change.answer["key"]["prefix"], change.api_keys) == (False, there.prefix, [])


@pytest.mark.parametrize(
    "gone",
    [{"label": "other"}, {"revoked_at": NOW}, {"expires_at": NOW}, {"replaced_by": "assay_00000000..."}],
    ids=str,
)
def test_a_key_that_has_another_label_or_is_going_will_not_do(gone: dict[str, Any]):
    there = key(label="packer")._replace(**gone)

    assert made(there, first="b2", label="packer", idempotent=True).answer["created"]


def test_a_key_that_reaches_beyond_what_the_caller_manages_is_not_there_for_that_caller():
    there = [key("a1", label="l", roles=("viewer",)), key("a2", label="l", roles=("viewer",), namespaces=("shop", "x"))]

    assert made(*there, first="b2", label="l", idempotent=True, where=frozenset({"shop"})).answer["created"]
    for one in there:
        with pytest.raises(NotFound):
            keys.revoke(there, one.prefix, "shop", NOW)
        with pytest.raises(NotFound):
            keys.rotate(there, one.prefix, secret("c3"), frozenset({"shop"}), "ada", 0, NOW)


@pytest.mark.parametrize("named", ["assay_a1000000...", "assay_a1000000"])
def test_a_key_is_revoked_by_its_prefix_with_dots_or_without(named: str):
    one, other = key("a1"), key("b2")

    change = keys.revoke([one, other], named, None, NOW + 1)

    assert change.api_keys == [one._replace(revoked_at=NOW + 1)]


@pytest.mark.parametrize("named", ["assay_a1", "a1000000", "assay_A1000000...", "", "assay_c3000000", "%"])
def test_nothing_else_names_a_key(named: str):
    with pytest.raises(NotFound):
        keys.revoke([key("a1"), key("b2")], named, None, NOW)


@pytest.mark.parametrize("gone", [{"revoked_at": NOW}, {"expires_at": NOW}], ids=str)
def test_a_key_that_opens_nothing_is_not_there_to_be_revoked(gone: dict[str, Any]):
    with pytest.raises(NotFound):
        keys.revoke([key("a1")._replace(**gone), key("b2")], "assay_a1000000", None, NOW)


@pytest.mark.parametrize(
    "others",
    [
        [],
        [key("b2", roles=("operator", "worker"))],
        [key("b2", namespaces=("shop",))],
        [key("b2")._replace(revoked_at=NOW)],
        [key("b2")._replace(expires_at=NOW)],
        [key("b2")._replace(replaced_by="assay_00000000...")],
    ],
)
def test_the_last_key_of_an_admin_of_everything_stays(others: list[ApiKey]):
    with pytest.raises(LastAdminKey):
        keys.revoke([key("a1"), *others], "assay_a1000000", None, NOW)


def test_a_key_that_ends_sooner_is_no_other_one():
    soon, late = key("b2", expires_in_secs=60), key("c3", expires_in_secs=90)

    with pytest.raises(LastAdminKey):
        keys.revoke([key("a1"), soon, late], "assay_a1000000", None, NOW)
    with pytest.raises(LastAdminKey):
        keys.revoke([soon, late], late.prefix, None, NOW)
    assert keys.revoke([soon, late], soon.prefix, None, NOW).api_keys


def test_who_gives_a_whole_key_means_that_key_and_nobody_is_shown_it():
    assert keys.revoke([key("a1"), key("b2")], secret("b2"), None, NOW).api_keys[0].prefix == "assay_b2000000..."
    for text in (secret("c3"), secret("c3")[:40], secret("C3"), f"of {secret('c3')}"):
        with pytest.raises(NotFound) as refused:
            keys.revoke([key("a1")], text, None, NOW)
        assert "0" * 9 not in str(refused.value)


@pytest.mark.parametrize("wanted", [{"roles": ("viewer",)}, {"roles": ("worker",)}, {"namespaces": ("shop",)}])
def test_a_first_key_that_could_make_no_others_is_refused(wanted: dict[str, Any]):
    with pytest.raises(Invalid, match="first key"):
        keys.create((), NewKey(first=True, **wanted), secret("a1"), None, "x", NOW, was_made=False)


def test_other_keys_go_although_no_admin_has_one():
    worker = key("a1", roles=("worker",))

    assert keys.revoke([worker], worker.prefix, None, NOW).api_keys


def test_a_successor_has_the_rights_and_the_span_of_life_and_the_old_key_works_on_for_a_while():
    old = key("a1", label="packer", roles=("worker",), namespaces=("shop",), expires_in_secs=1000)

    new, before = keys.rotate([old], old.prefix, secret("b2"), None, "bob", 60, NOW + 100).api_keys

    assert (new.label, new.roles, new.namespaces, new.created_by) == ("packer", old.roles, old.namespaces, "bob")
    assert (new.created_at, new.expires_at) == (NOW + 100, NOW + 1100)
    assert (before.replaced_by, before.expires_at) == (new.prefix, NOW + 160)
    assert keys.is_live(before, NOW + 159)
    assert not keys.is_live(before, NOW + 160)


def test_a_rotation_lets_no_key_live_longer_than_it_would():
    old = key("a1", expires_in_secs=50)

    _, before = keys.rotate([old], old.prefix, secret("b2"), None, "bob", 60, NOW).api_keys

    assert before.expires_at == NOW + 50


def test_a_key_is_rotated_once_and_then_its_successor():
    old = key("a1")
    new, before = keys.rotate([old], old.prefix, secret("b2"), None, "bob", 60, NOW).api_keys

    with pytest.raises(KeyReplaced, match="assay_b2000000"):
        keys.rotate([new, before], old.prefix, secret("c3"), None, "bob", 60, NOW)
    with pytest.raises(LastAdminKey):
        keys.revoke([new, before], new.prefix, None, NOW)
    assert keys.revoke([new, before], old.prefix, None, NOW).api_keys
