"""Slots for those who compute, places for those who wait."""

from __future__ import annotations

import pytest

from assay_wsgi.api.admission import Admission
from assay_wsgi.api.admission import retry_after_secs
from assay_wsgi.settings import HttpSettings
from assay_wsgi.settings import Settings


def free_slots(admission: Admission) -> int:
    taken = 0
    while admission.computing.acquire(blocking=False):
        taken += 1
    admission.computing.release(taken) if taken else None
    return taken


def test_who_waits_gives_its_slot_back_and_takes_one_again() -> None:
    admission = Admission(compute_slots=2, long_polls=1, long_poll_max_secs=20)

    with admission.computing:
        assert free_slots(admission) == 1
        with admission.waiting():
            assert free_slots(admission) == 2
        assert free_slots(admission) == 1
    assert free_slots(admission) == 2


def test_a_slot_is_taken_again_when_the_wait_fails() -> None:
    admission = Admission(compute_slots=1, long_polls=1, long_poll_max_secs=20)

    with pytest.raises(RuntimeError), admission.computing, admission.waiting():
        raise RuntimeError
    assert free_slots(admission) == 1


def test_only_so_many_may_wait_at_once() -> None:
    admission = Admission(compute_slots=1, long_polls=1, long_poll_max_secs=20)

    with admission.long_poll() as first, admission.long_poll() as second:
        assert (first, second) == (True, False)
    with admission.long_poll() as later:
        assert later


def test_the_settings_leave_threads_for_ordinary_requests() -> None:
    admission = Admission.of(Settings(http=HttpSettings(threads=34, reserved_threads=32)))

    with admission.long_poll() as one, admission.long_poll() as two, admission.long_poll() as three:
        assert (one, two, three) == (True, True, False)


def test_those_who_may_not_wait_come_again_spread_over_one_to_five_seconds() -> None:
    times = [retry_after_secs("w-1", n) for n in range(1000)]

    assert 1.0 <= min(times) < 1.1
    assert 4.9 < max(times) <= 5.0
    assert retry_after_secs("w-1", 7) == times[7] != retry_after_secs("w-2", 7)
