"""What a caller may do, and where."""

from __future__ import annotations

import pytest

from assay_wsgi.auth.principal import Principal
from assay_wsgi.auth.roles import ALLOWS
from assay_wsgi.auth.roles import EVERYWHERE
from assay_wsgi.auth.roles import Access
from assay_wsgi.auth.roles import roles_with
from assay_wsgi.domain.requests import ROLES


def test_a_role_reaches_the_namespaces_that_it_was_granted_in():
    caller = Principal.of("ada", [("shop", "viewer"), ("hall", "operator")])

    assert caller.reach(Access.READ) == {"shop", "hall"}
    assert caller.reach(Access.OPERATE) == {"hall"}
    assert caller.reach(Access.WORK) == frozenset()


def test_a_role_everywhere_reaches_all_namespaces():
    caller = Principal.of("ada", [(EVERYWHERE, "viewer"), ("shop", "operator")])

    assert caller.reach(Access.READ) is None
    assert caller.reach(Access.OPERATE) == {"shop"}


def test_roles_of_one_namespace_add_up():
    caller = Principal.of("ada", [("shop", "worker"), ("shop", "viewer")])

    assert caller.reach(Access.READ) == caller.reach(Access.WORK) == {"shop"}


def test_only_an_admin_of_everything_governs():
    assert Principal.of("ada", [("shop", "admin")]).reach(Access.GOVERN) == frozenset()
    assert Principal.of("ada", [(EVERYWHERE, "admin")]).reach(Access.GOVERN) is None


def test_an_admin_does_not_work_unless_that_is_granted_as_well():
    assert Principal.of("ada", [(EVERYWHERE, "admin")]).reach(Access.WORK) == frozenset()
    assert Principal.of("ada", [(EVERYWHERE, "admin"), (EVERYWHERE, "worker")]).reach(Access.WORK) is None


@pytest.mark.parametrize("access", [Access.PUBLIC, Access.KNOWN])
def test_what_needs_no_role_is_open_to_whoever_has_none(access: Access):
    assert Principal.of("ada", []).reach(access) is None


def test_every_access_that_needs_a_role_is_had_by_one():
    assert all(roles_with(access) for access in Access if access not in (Access.PUBLIC, Access.KNOWN))
    assert set().union(*ALLOWS.values()) <= set(Access)


def test_the_table_knows_every_role_that_a_key_may_have():
    assert tuple(ALLOWS) == ROLES


def test_a_role_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="'owner' is no role: there are viewer, worker, operator, admin"):
        Principal.of("ada", [("shop", "owner")])
