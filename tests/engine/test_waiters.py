"""Waiters: nobody sleeps through a wake, and nobody is woken twice for one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from assay_wsgi.engine.waiters import Key
from assay_wsgi.engine.waiters import Waiter
from assay_wsgi.engine.waiters import Waiters

WORK = Key("workflow", "main", "q")
ACTIVITIES = Key("activity", "main", "q")
OTHER = Key("workflow", "main", "other")
LONG = 60.0


@pytest.fixture
def waiters() -> Waiters:
    return Waiters()


def test_the_longest_waiting_are_woken_first(waiters: Waiters) -> None:
    with (
        waiters.wait_for([WORK]) as first,
        waiters.wait_for([WORK]) as second,
        waiters.wait_for([WORK]) as third,
    ):
        assert waiters.wake(WORK, 2) == 2

        assert [woken(waiter) for waiter in (first, second, third)] == [True, True, False]


def test_no_more_are_woken_than_wait(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]), waiters.wait_for([OTHER]):
        assert waiters.wake(WORK, 5) == 1
        assert waiters.wake(ACTIVITIES, 5) == 0


def test_a_wake_before_the_wait_is_kept_and_ends_one_wait_only(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as waiter:
        waiters.wake(WORK)

        assert waiter.wait(LONG) is True
        assert waiter.wait(0.0) is False


def test_a_wake_while_the_woken_one_looks_ends_its_next_wait(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as waiter:
        waiters.wake(WORK)
        assert waiter.wait(LONG)

        assert waiters.wake(WORK) == 1

        assert waiter.wait(LONG) is True


def test_who_waits_for_two_keys_is_woken_once(waiters: Waiters) -> None:
    with waiters.wait_for([WORK, ACTIVITIES, WORK]) as both, waiters.wait_for([ACTIVITIES]) as one:
        assert waiters.wake(WORK) == 1
        assert waiters.wake(ACTIVITIES) == 1

        assert [woken(both), woken(both), woken(one)] == [True, False, True]


def test_who_was_woken_goes_to_the_end_of_the_queue(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as first, waiters.wait_for([WORK]) as second:
        waiters.wake(WORK)
        assert first.wait(LONG)

        waiters.wake(WORK)

        assert [woken(first), woken(second)] == [False, True]


def test_a_wake_that_is_left_behind_goes_to_the_next(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as stays:
        with waiters.wait_for([WORK]):
            waiters.wake(WORK, 2)
            assert [woken(stays), woken(stays)] == [True, False]

        assert woken(stays) is True


def test_a_wake_that_could_not_be_used_is_passed_on(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as gone, waiters.wait_for([WORK]) as next_one:
        waiters.wake(WORK)
        assert gone.wait(LONG)

        gone.pass_on()

        assert [woken(gone), woken(next_one)] == [False, True]


def test_who_passed_a_wake_on_waits_for_the_next(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as picky:
        waiters.wake(WORK)
        assert woken(picky)
        picky.pass_on()

        assert waiters.wake(WORK) == 1

        assert woken(picky)


def test_a_wake_that_nobody_can_use_goes_round_once(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as one, waiters.wait_for([WORK]) as two, waiters.wait_for([WORK]) as three:
        waiters.wake(WORK)

        for waiter in (one, two, three):
            assert woken(waiter)
            waiter.pass_on()

        assert [woken(waiter) for waiter in (one, two, three)] == [False, False, False]


def test_who_looks_since_a_newer_wake_is_not_bothered_with_an_older_wake(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as slow, waiters.wait_for([WORK]) as quick, waiters.wait_for([WORK]) as last:
        waiters.wake(WORK)
        waiters.wake(WORK)
        assert woken(quick)
        quick.pass_on()
        assert woken(last)

        assert woken(slow)
        slow.pass_on()

        assert [woken(quick), woken(last)] == [False, False]


def test_there_is_nothing_to_pass_on_before_a_wake(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as waiter, waiters.wait_for([WORK]) as next_one:
        waiter.pass_on()

        assert woken(next_one) is False
        assert waiters.wake(WORK, 2) == 2


def test_a_wake_that_was_used_is_not_passed_on(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as next_one:
        with waiters.wait_for([WORK]):
            waiters.wake(WORK)
            assert next_one.wait(LONG)
        assert woken(next_one) is False


def test_a_wake_followed_by_a_wait_in_vain_is_not_passed_on(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as patient, waiters.wait_for([WORK]) as next_one:
        waiters.wake(WORK)
        assert [woken(patient), woken(patient)] == [True, False]

        patient.pass_on()

        assert woken(next_one) is False


def test_everybody_is_woken_at_shutdown(waiters: Waiters) -> None:
    with waiters.wait_for([WORK]) as one, waiters.wait_for([OTHER, ACTIVITIES]) as two:
        assert waiters.wake_all() == 2

        assert [woken(one), woken(two)] == [True, True]
        assert waiters.wake_all() == 2


def test_the_keys_are_those_waited_for_now(waiters: Waiters) -> None:
    assert (waiters.waited_for(), len(waiters)) == ([], 0)

    with waiters.wait_for([WORK, ACTIVITIES]) as waiter, waiters.wait_for([WORK]):
        assert (set(waiters.waited_for()), len(waiters)) == ({WORK, ACTIVITIES}, 2)
        waiters.wake(ACTIVITIES)
        assert (set(waiters.waited_for()), len(waiters)) == ({WORK}, 2)
        waiter.wait(LONG)
        assert set(waiters.waited_for()) == {WORK, ACTIVITIES}

    assert (waiters.waited_for(), len(waiters)) == ([], 0)


def test_a_sleeping_thread_is_woken(waiters: Waiters) -> None:
    told: list[bool] = []
    with waiters.wait_for([WORK]) as waiter:
        thread = started(lambda: told.append(waiter.wait(LONG)))

        waiters.wake(WORK)
        thread.join()

    assert told == [True]


def test_no_piece_of_work_is_slept_through_by_many_threads(waiters: Waiters) -> None:
    pieces, taken, lock = 2000, [0] * 8, threading.Lock()
    ready = 0
    done = threading.Event()

    def work(me: int) -> None:
        nonlocal ready
        while not done.is_set():
            with waiters.wait_for([WORK, ACTIVITIES]) as waiter:
                while not done.is_set():
                    with lock:
                        found = ready > 0
                        ready -= found
                    if found:
                        taken[me] += 1
                        if sum(taken) == pieces:
                            done.set()
                            waiters.wake_all()
                        break
                    assert waiter.wait(LONG), "slept through a wake"

    threads = [started(lambda me=me: work(me)) for me in range(len(taken))]  # type: ignore[misc]
    for piece in range(pieces):
        with lock:
            ready += 1
        waiters.wake(WORK if piece % 2 else ACTIVITIES)
    for thread in threads:
        thread.join()

    assert sum(taken) == pieces
    assert (waiters.waited_for(), len(waiters)) == ([], 0)


def woken(waiter: Waiter) -> bool:
    return waiter.wait(0.0)


def started(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread
