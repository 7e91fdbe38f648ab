"""The life of a timer: scheduled, then fired when its time has come, or cancelled. Each of it is an event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Union

from ..jsontext import dumps
from .change import Change
from .change import RunPen
from .commands import ScheduleTimer
from .model import Run
from .model import Task
from .model import Timer
from .model import TimerStatus

FindTimer = Callable[[int], Union[Timer, None]]  # by seq


def no_timer(_seq: int) -> Timer | None:
    """Find no timer."""
    return None


def schedule(pen: RunPen, command: ScheduleTimer, timer_key: int) -> Timer:
    """Write a new timer and its event."""
    timer = Timer(
        pen.run.run_key, command.seq, timer_key, pen.run.namespace, pen.now + command.duration_secs,
        TimerStatus.PENDING.value, pen.now,
    )  # fmt: skip
    pen.change.timers.append(timer)
    payload = {
        "timer_id": timer_key, "timer_seq": timer.seq, "fire_at": timer.fire_at, "duration_secs": command.duration_secs,
    }  # fmt: skip
    pen.event("TimerScheduled", dumps(payload), ref_seq=timer.seq)
    return timer


def cancel(pen: RunPen, timer: Timer) -> None:
    """Cancel a timer; one that has fired or was cancelled stays as it is."""
    if timer.status != TimerStatus.PENDING:
        return
    pen.change.timers.append(timer._replace(status=TimerStatus.CANCELLED.value))
    pen.event("TimerCancelled", dumps({"timer_seq": timer.seq}), ref_seq=timer.seq)


def fire(run: Run, task: Task | None, timer: Timer | None, now: float) -> Change:
    """Fire a timer whose time has come. Answers whether it did."""
    if run.closed or timer is None or timer.status != TimerStatus.PENDING or timer.fire_at > now:
        return Change(answer=False)
    change = Change(answer=True)
    pen = RunPen(change, run, task, now)
    change.timers.append(timer._replace(status=TimerStatus.FIRED.value))
    pen.waking_event("TimerFired", dumps({"timer_seq": timer.seq, "fire_at": timer.fire_at}), ref_seq=timer.seq)
    pen.set(waiting_for=None)
    pen.done()
    return change
