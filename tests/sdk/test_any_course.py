"""Whatever comes in, and whenever: each turn takes the way of the turns before it, and goes on from there.

A service of a few lines writes the history from the commands; chance decides what comes next, and whether a
turn knows of it. The code notes all that it sees. What an earlier turn saw must be the beginning of what a
later one sees, whether the worker kept the history or got it anew.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import StepError
from assay_wsgi.sdk import WorkflowCancelled
from assay_wsgi.sdk.history import History
from assay_wsgi.sdk.replay import Turn
from assay_wsgi.sdk.replay import replay
from tests.sdk.histories import RUN
from tests.sdk.histories import Past

seen: list[Any] = []


def outcome(handle: Any) -> Any:
    try:
        return handle.result()
    except StepError as error:
        return str(error)


@Assay().workflow
def everything(ctx: Context) -> Any:
    def note(*what: Any) -> None:
        seen.append((*what, ctx.now().timestamp(), [one.done for one in handles]))

    handles: list[Any] = []
    steps = ctx.steps("lap 0", "lap 1", "lap 2")
    try:
        for lap in range(3):
            work = [ctx.start_activity(f"work-{lap}-{n}") for n in range(3)]
            handles += work
            first = ctx.wait_any(*work, timeout=5)
            note("first", first and first.name)
            if first is None:
                work[0].cancel()
            note("signal", ctx.wait_for_signal("news", timeout=3))
            child = ctx.start_child("Child", lap)
            handles.append(child)
            timer = ctx.start_timer(lap)
            handles.append(timer)
            if ctx.wait_any(timer, child) is timer:
                note("child begun", child.started)
                child.cancel()
            elif not timer.done:
                timer.cancel()
            note("token", ctx.side_effect("token", lambda: 1), ctx.random().random())
            for one in ctx.as_completed([*work, child]):
                note(one.name, outcome(one))
            with ctx.shield():
                note("shielded", outcome(ctx.start_activity("commit")))
            try:
                with steps.step(f"lap {lap}", ["go"]), ctx.saga() as saga:
                    note("by hand", ctx.wait_for_signal("go", timeout=2))
                    saga.defer("give back", lap)
                    note("took", ctx.execute_activity("take"))
                    saga.defer("refund", lap)
                    note("button", steps.await_action(f"lap {lap}", ["go", "stop"]))
                    note("shipped", ctx.execute_activity("ship"))
            except StepError as error:
                note("undone in part", str(error))
            rest = [ctx.start_activity(f"rest-{n}") for n in range(3)]
            inbox: list[Any] = []

            def enough(inbox: list[Any] = inbox, rest: list[Any] = rest) -> bool:
                inbox.extend(ctx.signals("news"))
                return len(inbox) + sum(one.done for one in rest) >= 3

            note("enough", ctx.wait_condition(enough, timeout=4), inbox, [one.done for one in rest])
            note("more", ctx.wait_for_signal("news", timeout=1))
    except WorkflowCancelled as error:
        note("cancelled", error.reason)
        with ctx.shield():
            note("undone", [outcome(one) for one in handles], outcome(ctx.start_activity("undo")))
            ctx.sleep(1)
        raise
    return "end"


class Service:
    """One run: writes events from commands, and what chance brings."""

    def __init__(self, chance: random.Random) -> None:
        self.past = Past()
        self.chance = chance
        self.open: list[tuple[str, int, str]] = []  # what may still come to an end: kind, number, name
        self.known: set[Any] = set()
        self.cancels = 0
        self.ended = False

    def apply(self, command: dict[str, Any]) -> None:
        kind, past, number = command["type"], self.past, command.get("seq")
        if number is not None:
            assert number not in self.known, f"{command} is asked for twice"
            self.known.add(number)
        if kind == "ScheduleActivity":
            past.scheduled(number, command["name"])
            self.open.append(("activity", number, command["name"]))
        elif kind == "ScheduleTimer":
            past.timer(number, command["duration_secs"])
            self.open.append(("timer", number, ""))
        elif kind == "StartChildWorkflow":
            taken = self.chance.random() < 0.2
            if taken:
                past.child_failed(number, command["workflow_id"], "already_started")
            else:
                past.child_started(number, command["workflow_id"], command["workflow_type"])
                self.open.append(("child", number, command["workflow_id"]))
        elif kind == "RecordSideEffect":
            past.side_effect(number, command["name"], command["value"])
        elif kind == "WaitForSignal":
            assert command.get("timer_seq", number) in {*self.known, None}
        elif kind in ("CancelActivity", "CancelTimer"):
            self.cancel("activity" if kind == "CancelActivity" else "timer", command)
        elif kind == "RequestCancelChild":
            past.child_cancel_requested(command["workflow_id"])
        elif kind not in ("RecordSnapshot", "WaitForCondition"):
            assert kind in ("CompleteWorkflow", "CancelWorkflow", "FailWorkflow")
            self.ended = True

    def cancel(self, kind: str, command: dict[str, Any]) -> None:
        number = command[f"{kind}_seq"]
        assert number in self.known
        for one in self.open:
            if one[:2] == (kind, number):
                self.open.remove(one)
                if kind == "activity":
                    self.past.activity_cancelled(number, one[2])
                else:
                    self.past.timer_cancelled(number)
                return

    def happen(self) -> None:
        dice = self.chance.random()
        if dice < 0.15:
            self.past.signal("news", len(self.past.events))
        elif dice < 0.25:
            step, action = f"lap {self.chance.randrange(3)}", self.chance.choice(["go", "stop"])
            self.past.signal("step_action", {"step": step, "action": action, "user": len(self.past.events)})
        elif dice < 0.28 and not self.cancels:
            self.cancels = 1
            self.past.cancel_requested("enough")
        elif self.open:
            kind, number, name = self.open.pop(self.chance.randrange(len(self.open)))
            fails = self.chance.random() < 0.3
            if kind == "timer":
                self.past.fired(number)
            elif kind == "activity" and fails:
                self.past.failed(number, name, "no")
            elif kind == "activity":
                self.past.completed(number, f"{name} done")
            elif fails:
                self.past.child_failed(number, name, "failed", "no")
            else:
                self.past.child_completed(number, name, "grown")


def take(history: History) -> tuple[Turn, list[Any]]:
    seen.clear()
    turn = replay(everything, RUN, history)
    assert turn.failure is None, turn.failure["message"]
    return turn, list(seen)


@pytest.mark.parametrize("seed", range(150))
def test_each_turn_sees_what_the_turns_before_it_have_seen(seed: int) -> None:
    service = Service(random.Random(seed))
    kept = History()
    before: list[Any] = []
    for _ in range(400):
        for _ in range(service.chance.randrange(3)):
            service.happen()
        kept.extend(service.past.events)
        turn, now = take(kept)
        again, same = take(History(service.past.events))

        assert now[: len(before)] == before
        assert (again.commands, again.state, same) == (turn.commands, turn.state, now)

        before = now
        for _ in range(service.chance.randrange(2)):  # while the turn was under way
            service.happen()
        for command in turn.commands:
            service.apply(command)
        kept.turn_accepted()
        if service.ended:
            break

    assert service.ended
    assert before[-1][0] in ("more", "undone")
    assert take(History(service.past.events))[1] == before
