"""Who leads: one lease, several claimants, a clock that is set."""

from __future__ import annotations

import logging

import pytest

from assay_wsgi.sidecar.leader import Leadership
from tests.sidecar.fakes import FakeLeases


@pytest.fixture
def leases(clock):
    return FakeLeases(clock)


def test_the_first_one_leads_and_says_so(leases, clock, caplog):
    caplog.set_level(logging.INFO, logger="assay_wsgi.sidecar")
    first = Leadership(leases, "first", clock)

    first.renew()

    assert first.leading
    assert [record.getMessage() for record in caplog.records] == ["leading owner=first epoch=1"]


def test_a_second_one_stands_by(leases, clock):
    first, second = Leadership(leases, "first", clock), Leadership(leases, "second", clock)
    first.renew()

    second.renew()

    assert not second.leading
    assert first.leading


def test_the_lease_is_renewed_every_second_and_not_more_often(leases, clock):
    first = Leadership(leases, "first", clock)
    for _ in range(10):
        first.renew()
        clock.advance(0.5)

    assert leases.asked == [("first", 0.0), ("first", 1.0), ("first", 2.0), ("first", 3.0), ("first", 4.0)]


def test_a_standby_takes_over_within_a_second_of_the_end_of_a_dead_leaders_lease(leases, clock):
    dead, standby = Leadership(leases, "dead", clock), Leadership(leases, "standby", clock)
    dead.renew()
    began = clock.now

    while not standby.leading:
        clock.advance(1.0)  # LOOK_SECS: how often the job asks
        standby.renew()

    assert clock.now - began == 3.0
    assert not dead.leading


def test_a_leader_that_hears_nothing_for_three_seconds_no_longer_leads(leases, clock):
    first = Leadership(leases, "first", clock)
    first.renew()
    leases.away = True

    clock.advance(2.9)
    assert first.leading
    clock.advance(0.11)

    assert not first.leading


def test_a_leader_that_was_replaced_learns_it_at_its_next_renewal(leases, clock, caplog):
    first = Leadership(leases, "first", clock)
    first.renew()
    leases.holder = ("usurper", clock.now + 10.0)

    clock.advance(2.0)
    first.renew()

    assert not first.leading
    assert "lost the lead owner=first" in caplog.text


def test_a_released_lead_is_free_at_once(leases, clock):
    first, second = Leadership(leases, "first", clock), Leadership(leases, "second", clock)
    first.renew()

    first.release()
    second.renew()

    assert not first.leading
    assert second.leading


def test_who_does_not_lead_releases_nothing(leases, clock):
    first, second = Leadership(leases, "first", clock), Leadership(leases, "second", clock)
    first.renew()
    second.renew()

    second.release()

    assert leases.holder == ("first", clock.now + 3.0)


def test_a_standby_knows_when_to_ask_again(leases, clock):
    first, second = Leadership(leases, "first", clock), Leadership(leases, "second", clock)
    first.renew()
    clock.advance(0.5)

    assert second.renew() == 2.5
    assert first.renew() is None
