"""Waits for several things at once. What comes first is decided by the seq of its event."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import Callable
from typing import NamedTuple
from typing import NoReturn
from typing import TypeVar

from .course import Course
from .durations import Duration
from .durations import seconds
from .errors import StepError
from .errors import WorkflowCancelled
from .handles import Handle
from .handles import TimerHandle
from .jsontext import copied

R = TypeVar("R")


def take_timer(course: Course, duration: Duration) -> tuple[TimerHandle, dict[str, Any] | None]:
    """Number a timer; return it with the command that sets it, which is None if history holds it."""
    secs = seconds(duration)
    detail = f"{secs:g} s"
    number, held = course.take("timer", detail=detail)
    handle = TimerHandle(course, number, detail)
    return handle, None if held else {"type": "ScheduleTimer", "seq": number, "duration_secs": secs}


def start_timer(course: Course, duration: Duration) -> TimerHandle:
    """Set a timer."""
    handle, command = take_timer(course, duration)
    if command is not None:
        course.begin(handle.what)
        course.send(command)
    return handle


def until(
    course: Course,
    what: str,
    event: int | None,
    timeout: Duration | None = None,
    commands: Sequence[dict[str, Any]] = (),
    names_timer: bool = False,
) -> bool:
    """Wait for an event, at most until a time-out; say whether it came in time.

    `commands` are sent with the wait; the first of them may name its timer. The timer's number is taken in any
    case, so that numbers do not depend on whether the event was there at once; the timer is set only if it was not.
    """
    if timeout is None:
        course.wait(what, event, commands)
        return True
    timer, setting = take_timer(course, timeout)
    fired = timer.fired
    if event is None and fired is None:
        if setting is not None:
            course.begin(timer.what)
            course.send(setting)
        if names_timer:
            commands = [{**commands[0], "timer_seq": timer.number}, *commands[1:]]
    in_time = fired is None or (event is not None and event < fired)
    try:
        course.wait(what, event if in_time else fired, commands)
    except WorkflowCancelled:
        timer.drop()
        raise
    if in_time:
        timer.drop()
    return in_time


class Arrival(NamedTuple):
    """A signal that was waited for."""

    name: str
    payload: Any


def first_signal(
    course: Course,
    what: str,
    wanted: Sequence[tuple[str, Callable[[Any], bool] | None]],
    timeout: Duration | None,
) -> Arrival | None:
    """Wait for the first signal of one of these names that its test lets pass, and take it; None = the time-out.

    A signal that ends the wait ends its timer too, if it is of the first name and that has no test: the service
    does so while the run goes on. In other cases the code does when it goes on.
    """
    first: tuple[int, str, Any] | None = None
    for name, test in wanted:
        for seq, payload in course.inbox.unread(name):
            if test is None or test(payload):
                if first is None or seq < first[0]:
                    first = seq, name, payload
                break
    commands = [{"type": "WaitForSignal", "name": name} for name, _ in wanted]
    names_timer = wanted[0][1] is None
    if not until(course, what, None if first is None else first[0], timeout, commands, names_timer):
        return None
    assert first is not None
    seq, name, payload = first
    course.inbox.take(name, seq)
    return Arrival(name, copied(payload))


def condition(course: Course, what: str, fn: Callable[[], object], timeout: Duration | None) -> bool:
    """Look at `fn` now and after each event that comes, at most until a time-out; say whether it came true."""
    course.going()
    timer, setting = (None, None) if timeout is None else take_timer(course, timeout)
    fired = None if timer is None else timer.fired

    def true() -> bool:
        with course.looking("a condition"):
            return bool(fn())

    if true():
        in_time = True
    else:
        for event in course.coming():
            in_time = true()
            if in_time or event == fired:
                break
        else:
            _park(course, what, timer, setting)
    if in_time and timer is not None:
        timer.drop()
    return in_time


def _park(course: Course, what: str, timer: TimerHandle | None, setting: dict[str, Any] | None) -> NoReturn:
    if timer is not None and setting is not None:
        course.begin(timer.what)
        course.send(setting)
    try:
        course.wait(what, None, [{"type": "WaitForCondition", "name": what}])
    except WorkflowCancelled:
        if timer is not None:
            timer.drop()
        raise
    raise AssertionError("a wait without an event does not return")


def wait_any(course: Course, handles: Sequence[Handle[R]], timeout: Duration | None = None) -> Handle[R] | None:
    """Wait for the first of several to be done; None = the time-out came before."""
    if not handles:
        raise ValueError("there is nothing to wait for")
    first = min(handles, key=_when)
    return first if until(course, _all(handles, " or "), first.ended, timeout) else None


def as_completed(course: Course, handles: Sequence[Handle[R]]) -> Iterator[Handle[R]]:
    """Yield each when it is done, the first one first."""
    left = list(handles)
    while left:
        first = wait_any(course, left)
        assert first is not None
        left.remove(first)
        yield first


def gather(course: Course, handles: Sequence[Handle[Any]], return_exceptions: bool) -> tuple[Any, ...]:
    """Wait for all, and only then look at what they came to."""
    if handles:
        course.wait(_all(handles, " and "), max(handles, key=_when).ended)
    return tuple(_result_or_error(one) if return_exceptions else one.result() for one in handles)


def _result_or_error(handle: Handle[Any]) -> Any:
    try:
        return handle.result()
    except StepError as error:
        return error


def _when(handle: Handle[Any]) -> float:
    ended = handle.ended
    return float("inf") if ended is None else ended


def _all(handles: Sequence[Handle[Any]], word: str) -> str:
    shown = [one.what for one in handles[:3]]
    if len(handles) > 3:
        shown.append(f"{len(handles) - 3} more")
    return word.join(shown)
