"""The sidecar's jobs: what runs when, that only the leader works, and that no failure spreads."""

from __future__ import annotations

import logging
from threading import Event
from threading import Thread

import pytest

from assay_wsgi.domain.errors import Unavailable
from assay_wsgi.sidecar.run import Job
from assay_wsgi.sidecar.run import Sidecar
from tests.processes import until
from tests.sidecar.fakes import fake_engine


@pytest.fixture
def engine(clock):
    return fake_engine(clock)


@pytest.fixture
def sidecar(engine, clock):
    return Sidecar(engine, "this", clock)


def job_of(sidecar, name):
    return next(job for job in sidecar.jobs if job.name == name)


def test_the_jobs_and_how_often_they_run(sidecar):
    assert {job.name: job.every_secs for job in sidecar.jobs} == {
        "lead": 1.0,
        "expire": 1.0,
        "retire_dead_workers": 5.0,
        "prune": 60.0,
    }


def test_only_the_leader_works(sidecar, engine, clock):
    engine.store.leases.holder = ("another", clock.now + 10.0)

    for job in sidecar.jobs:
        job.run()

    assert (engine.upkeep.expired, engine.upkeep.retired, engine.upkeep.pruned) == (0, 0, 0)


def test_a_lost_lead_ends_the_work(sidecar, engine, clock):
    for job in sidecar.jobs:
        job.run()
    assert (engine.upkeep.expired, engine.upkeep.retired, engine.upkeep.pruned) == (1, 1, 1)

    engine.store.leases.holder = ("another", clock.now + 100.0)
    clock.advance(60.0)
    for job in sidecar.jobs:
        job.run()

    assert (engine.upkeep.expired, engine.upkeep.retired, engine.upkeep.pruned) == (1, 1, 1)


def test_full_batches_are_followed_by_another_at_once(sidecar, engine):
    engine.upkeep.due = [200, 200, 17, 0]
    engine.upkeep.handled = 17
    job_of(sidecar, "lead").run()

    job_of(sidecar, "expire").run()

    assert engine.upkeep.expired == 3


def test_an_endless_flood_of_deadlines_lets_the_other_jobs_have_their_turn(sidecar, engine):
    engine.upkeep.due = [200]
    engine.upkeep.handled = 200
    job_of(sidecar, "lead").run()

    assert job_of(sidecar, "expire").run() == 0.0
    assert engine.upkeep.expired == 50


def test_a_full_batch_of_which_nothing_can_be_handled_is_no_tight_loop(sidecar, engine):
    engine.upkeep.due = [200]
    job_of(sidecar, "lead").run()

    assert [job_of(sidecar, "expire").run() for _ in range(3)] == [0.02, 0.04, 0.08]
    assert engine.upkeep.expired == 3


@pytest.mark.parametrize(
    ("deadline_in", "looks_again_in"),
    [(None, None), (0.25, 0.25), (0.999, 0.999), (1.0, None), (30.0, None), (0.0, None), (-5.0, None)],
)
def test_it_looks_again_when_the_next_deadline_is_due_and_at_most_a_second_later(
    sidecar, engine, clock, deadline_in, looks_again_in
):
    engine.upkeep.deadline = None if deadline_in is None else clock.now + deadline_in
    job_of(sidecar, "lead").run()

    assert job_of(sidecar, "expire").run() == pytest.approx(looks_again_in, abs=1e-6)


def test_what_falls_due_while_it_works_is_handled_at_once(sidecar, engine, clock):
    job_of(sidecar, "lead").run()
    engine.upkeep.due = [17, 1, 0]
    engine.upkeep.secs_of_a_pass = 0.25
    engine.upkeep.deadline = clock.now + 0.125

    job_of(sidecar, "expire").run()

    assert engine.upkeep.expired == 2


def test_what_stays_due_is_looked_at_again_with_growing_pauses(sidecar, engine):
    job_of(sidecar, "lead").run()
    engine.upkeep.due = [1, 1, 1, 1, 1, 1, 1, 0, 1]

    pauses = [job_of(sidecar, "expire").run() for _ in range(9)]

    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, None, None, 0.02]


def test_while_passes_get_somewhere_the_pause_stays_short(sidecar, engine):
    job_of(sidecar, "lead").run()
    engine.upkeep.due = [100]
    engine.upkeep.handled = 100

    assert [job_of(sidecar, "expire").run() for _ in range(20)] == [0.02] * 20


def test_a_row_that_stays_due_delays_no_other(sidecar, engine, clock):
    job_of(sidecar, "lead").run()
    engine.upkeep.due = [1]
    for _ in range(7):
        job_of(sidecar, "expire").run()
    engine.upkeep.deadline = clock.now + 0.25

    assert job_of(sidecar, "expire").run() == 0.25


def test_who_takes_the_lead_looks_at_once(sidecar, engine, clock):
    engine.store.leases.holder = ("another", clock.now + 10.0)
    job_of(sidecar, "lead").run()
    assert not engine.upkeep.written.is_set()

    clock.advance(10.0)
    job_of(sidecar, "lead").run()

    assert engine.upkeep.written.is_set()


def test_a_failing_job_is_logged_with_its_traceback_and_tried_again_with_growing_pauses(clock, caplog):
    runs = []

    def unit():
        runs.append(clock.now - 1_700_000_000.0)
        raise KeyError("broken")

    job = Job("expire", 1.0, unit, clock)
    for _ in range(21):
        job.run()
        clock.advance(1.0)

    # 1, 2, 4, 5, 5, ... seconds
    assert runs == [0.0, 1.0, 3.0, 7.0, 12.0, 17.0]
    assert caplog.records[0].getMessage() == "job failed job=expire failures=1"
    assert "KeyError: 'broken'" in caplog.text


def test_a_job_that_works_again_forgets_its_failures(clock):
    answers = [Unavailable("away"), Unavailable("away"), None, Unavailable("away"), None]
    runs = []

    def unit():
        runs.append(clock.now - 1_700_000_000.0)
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    job = Job("expire", 1.0, unit, clock)
    while answers:
        job.run()
        clock.advance(1.0)

    assert runs == [0.0, 1.0, 3.0, 4.0, 5.0]


def test_a_database_that_is_away_is_one_line_in_the_log_not_a_traceback(clock, caplog):
    def unit():
        raise Unavailable("the database does not answer")

    Job("prune", 60.0, unit, clock).run()

    assert [record.getMessage() for record in caplog.records] == [
        "job waits for the database job=prune failures=1: the database does not answer"
    ]
    assert caplog.records[0].exc_info is None


class Running:
    """A sidecar at work in a thread of the test."""

    def __init__(self, engine, owner, clock):
        self.sidecar = Sidecar(engine, owner, clock)
        self.stop = Event()
        self.thread = Thread(target=self.sidecar.run, args=(self.stop,))
        self.thread.start()

    def ends(self):
        self.stop.set()
        self.thread.join(60.0)
        assert not self.thread.is_alive()


@pytest.fixture
def running(engine, clock):
    started = []

    def run(owner="this"):
        started.append(Running(engine, owner, clock))
        return started[-1]

    yield run
    for each in started:
        each.ends()


def test_all_jobs_run_at_once_when_it_starts_and_the_lead_is_given_up_at_the_end(running, engine, caplog):
    caplog.set_level(logging.INFO, logger="assay_wsgi.sidecar")
    sidecar = running()
    until(lambda: engine.upkeep.expired)
    assert engine.store.leases.holder[0] == "this"

    sidecar.ends()

    assert engine.store.leases.holder is None
    assert "leading owner=this epoch=1" in caplog.text


def test_it_sleeps_until_the_next_deadline(running, engine, clock):
    engine.upkeep.deadline = clock.now + 0.25

    running()

    until(lambda: engine.upkeep.waits)
    assert engine.upkeep.waits[0] == 0.25


def test_a_near_deadline_written_elsewhere_is_looked_at_at_once(running, engine):
    running()
    for _ in range(100):  # a second apart, so many would outlast `until`
        before = engine.upkeep.expired
        engine.upkeep.written.set()
        until(lambda before=before: engine.upkeep.expired > before)


def test_one_failing_job_never_stops_the_others(running, engine):
    engine.upkeep.due = [KeyError("broken")]

    running()
    until(lambda: engine.upkeep.expired)

    until(lambda: engine.upkeep.retired)


def test_a_standby_takes_over_when_the_leader_ends(running, engine):
    first = running("first")
    until(lambda: engine.upkeep.expired)
    second = running("second")

    first.ends()

    until(lambda: second.sidecar.leadership.leading)
    assert engine.store.leases.holder[0] == "second"


def test_it_ends_although_the_database_is_away(running, engine, caplog):
    sidecar = running()
    until(lambda: engine.upkeep.expired)

    def release(name, owner):
        raise Unavailable("the database does not answer")

    engine.store.leases.release = release
    sidecar.ends()

    assert "runs out by itself" in caplog.text
