"""Which claims give which roles: only what the operator has listed."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.auth.rolemap import RoleMap

LISTED = "platform=admin; orders=operator@orders; orders=worker@orders; auditors=viewer@orders,billing"


@pytest.mark.parametrize(
    ("claim", "claims", "granted"),
    [
        ("groups", {"groups": ["platform"]}, {("*", "admin")}),
        ("groups", {"groups": "platform"}, {("*", "admin")}),
        ("groups", {"groups": ["orders"]}, {("orders", "operator"), ("orders", "worker")}),
        ("groups", {"groups": ["auditors", "x"]}, {("orders", "viewer"), ("billing", "viewer")}),
        ("realm_access.roles", {"realm_access": {"roles": ["platform"]}}, {("*", "admin")}),
        ("https://x.example/roles", {"https://x.example/roles": ["platform"]}, {("*", "admin")}),
        ("a.b", {"a.b": ["orders"], "a": {"b": ["platform"]}}, {("orders", "operator"), ("orders", "worker")}),
        ("scope", {"scope": "openid platform"}, {("*", "admin")}),
        ("scp", {"scp": "openid platform"}, {("*", "admin")}),
        ("groups", {"groups": "not platform"}, set()),
        ("groups", {"groups": ["not platform"]}, set()),
        ("groups", {"groups": ["Platform"]}, set()),
        ("groups", {"groups": ["platform "]}, set()),
        ("groups", {"groups": []}, set()),
        ("groups", {"groups": None}, set()),
        ("groups", {"groups": {"platform": True}}, set()),
        ("groups", {"groups": [["platform"], {"platform": 1}, 1, None, True]}, set()),
        ("groups", {"roles": ["platform"]}, set()),
        ("groups", {}, set()),
        ("realm_access.roles", {"realm_access": ["platform"]}, set()),
        ("realm_access.roles", {"realm_access": "platform"}, set()),
        ("realm_access.roles.x", {"realm_access": {"roles": ["platform"]}}, set()),
    ],
)
def test_a_value_gives_the_roles_that_are_listed_for_it(claim: str, claims: dict[str, Any], granted: set[Any]):
    assert set(RoleMap.read(claim, LISTED).granted(claims)) == granted


@pytest.mark.parametrize(
    ("written", "value", "granted"),
    [
        ("CN=admins,OU=it=admin", "CN=admins,OU=it", ("*", "admin")),
        ("ada@example.org=viewer", "ada@example.org", ("*", "viewer")),
        ("/orders/team = operator @ orders ;", "/orders/team", ("orders", "operator")),
        ("\n  a=viewer\n  b=worker\n", "b", ("*", "worker")),
        ("a=viewer@*", "a", ("*", "viewer")),
    ],
)
def test_a_value_may_hold_what_directories_put_there(written: str, value: str, granted: tuple[str, str]):
    assert RoleMap.read("groups", written).granted({"groups": [value]}) == [granted]


@pytest.mark.parametrize(
    ("claim", "written", "says"),
    [
        ("", "a=admin", "ASSAY_AUTH_ROLE_CLAIM must name the claim"),
        ("groups", "", "no value of it gives a role"),
        ("groups", " ; ;", "no value of it gives a role"),
        ("groups", "a", "'a' is no entry"),
        ("groups", "=admin", "'=admin' is no entry"),
        ("groups", "a=", "'a=' is no entry"),
        ("groups", "a=owner", "'owner' is no role: there are viewer, worker, operator, admin"),
        ("groups", "a=Admin", "'Admin' is no role"),
        ("groups", "a=viewer@", "after @ stand names of namespaces"),
        ("groups", "a=viewer@x,,y", "after @ stand names of namespaces"),
    ],
)
def test_a_map_that_cannot_be_meant_is_refused(claim: str, written: str, says: str):
    with pytest.raises(ValueError, match=says):
        RoleMap.read(claim, written)
