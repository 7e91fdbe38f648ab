"""The steps of a run as people see them: the query `pipeline_state`, which the dashboard draws, and its buttons.

    {status, current_step: 1-based, steps: [{name, status, started_at, completed_at, actions: [label], expires_at}],
     log: [{time, msg, step}]}

Times are seconds since the epoch. A step is waiting, running, done, failed, cancelled or skipped. A button posts
the signal `step_action` with {step, action, user}.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from typing import Callable

from .course import Course
from .durations import Duration
from .durations import seconds
from .errors import ContinueAsNew
from .errors import NondeterminismError
from .errors import Suspend
from .errors import WorkflowCancelled
from .waits import Arrival
from .waits import first_signal

QUERY = "pipeline_state"
BUTTON = "step_action"  # the signal of every button
LOG_LINES = 500  # the newest are kept: the state is sent whole whenever it changes

ENDS = {"CompleteWorkflow": "done", "FailWorkflow": "failed", "CancelWorkflow": "cancelled"}


@dataclass(frozen=True)
class StepAction:
    """A button that somebody pressed."""

    step: str
    action: str
    user: str | None  # who, as the dashboard or the sender of the signal says


class Steps:
    """The steps of one run, in order. `ctx.steps()` makes it."""

    def __init__(self, course: Course, now: Callable[[], float], names: Sequence[str]) -> None:
        if not names:
            raise ValueError("ctx.steps() needs the names of the steps: ctx.steps('Build', 'Deploy')")
        for name in names:
            if not isinstance(name, str) or not name:
                raise TypeError(f"the name of a step is a string that is not empty, not {name!r:.100}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"there are two steps '{twice[0]}': each needs a name of its own")
        self._course = course
        self._now = now
        self._steps: dict[str, dict[str, Any]] = {name: {"name": name, "status": "waiting"} for name in names}
        self._used: set[str] = set()  # steps that were begun, or left out by skip()
        self._open: list[str] = []  # those that run; the innermost last
        self._current: str | None = None
        self._status = "running"
        self._log: deque[dict[str, Any]] = deque(maxlen=LOG_LINES)

    # ------------------------------------------------------------------------------------- for the code

    @contextmanager
    def step(self, name: str, actions: Sequence[str] = ()) -> Iterator[None]:
        """Show a step as running in a `with` block, then as done; as failed or cancelled when an error leaves it.

        `actions` are buttons, shown while the step runs. They answer `ctx.wait_for_signal(name)` inside the block
        if `name` is among them, with {step, action, user, by: user, ok: action == name} as the payload.
        """
        step = self._begin(name)
        if actions:
            step["actions"] = _labels(actions)
        try:
            yield
        except (Suspend, ContinueAsNew, NondeterminismError):
            raise  # the run is left where it is: the step goes on
        except BaseException as error:
            self._end(step, "cancelled" if isinstance(error, WorkflowCancelled) else "failed")
            raise
        self._end(step, "done")

    def await_action(self, name: str, actions: Sequence[str], timeout: Duration | None = None) -> StepAction | None:
        """Show buttons for a step and wait until one is pressed; None when the time-out came first.

        What is pressed for other steps stays there for them. Inside `with steps.step(name)` the block decides how
        the step ends; elsewhere this is the whole step: done when a button was pressed, failed when none was.
        """
        inside = name in self._open
        step = self._known(name) if inside else self._begin(name)
        buttons = _labels(actions)
        if not buttons:
            raise ValueError(f"step '{name}' needs actions to wait for: await_action('{name}', ['approve', 'reject'])")
        before = step.get("actions")
        step["actions"] = buttons
        with self._expiring(step, timeout):
            try:
                pressed = first_signal(
                    self._course,
                    f"{' or '.join(buttons)} at step '{name}'",
                    [(BUTTON, lambda payload: _pressed(payload, name, buttons))],
                    timeout,
                )
            except WorkflowCancelled:
                if not inside:
                    self._end(step, "cancelled")
                raise
        if not inside:
            self._end(step, "failed" if pressed is None else "done")
        elif before is None:
            del step["actions"]
        else:
            step["actions"] = before
        return None if pressed is None else _action(pressed.payload)

    def skip(self, name: str) -> None:
        """Show a step as skipped: it will not be begun."""
        self._use(name)["status"] = "skipped"

    def log(self, msg: str) -> None:
        """Add a line to the log below the steps, at the step that runs. The newest 500 lines are kept."""
        line: dict[str, Any] = {"time": self._now(), "msg": str(msg)}
        if self._open:
            line["step"] = self._open[-1]
        self._log.append(line)

    # ------------------------------------------------------------------------------------- for the context

    def wait_for_signal(self, name: str, timeout: Duration | None) -> tuple[bool, Arrival | None]:
        """Wait for a signal or for the buttons of the step around it; (False, None) = no such step runs."""
        step = next(
            (self._steps[one] for one in reversed(self._open) if name in self._steps[one].get("actions", ())), None
        )
        if step is None:
            return False, None
        place, buttons = step["name"], step["actions"]
        with self._expiring(step, timeout):
            arrival = first_signal(
                self._course,
                f"signal '{name}', or {' or '.join(buttons)} at step '{place}'",
                [(name, None), (BUTTON, lambda payload: _pressed(payload, place, buttons))],
                timeout,
            )
        if arrival is not None and arrival.name == BUTTON:
            pressed = _action(arrival.payload)
            said = {"by": pressed.user, "ok": pressed.action == name}
            arrival = arrival._replace(payload={**arrival.payload, "user": pressed.user, **said})
        return True, arrival

    def state(self) -> dict[str, Any]:
        """Return what the query shows."""
        shown: dict[str, Any] = {"status": self._status, "steps": list(self._steps.values()), "log": list(self._log)}
        if self._current is not None:
            shown["current_step"] = list(self._steps).index(self._current) + 1
        return shown

    def end(self, closing: str) -> None:
        """Note the command that closes the run. What was not begun will not be; a successor begins its own steps."""
        if closing in ENDS:
            self._status = ENDS[closing]
            self._skip_rest()

    # ------------------------------------------------------------------------------------- inside

    def _known(self, name: str) -> dict[str, Any]:
        try:
            return self._steps[name]
        except KeyError:
            raise ValueError(f"there is no step {name!r}: this run's steps are {', '.join(self._steps)}") from None

    def _use(self, name: str) -> dict[str, Any]:
        step = self._known(name)
        if name in self._used:
            raise ValueError(
                f"step '{name}' is {step['status']} already: a step is used once; what is done again belongs inside "
                "its block, or is a step of another name"
            )
        self._used.add(name)
        return step

    def _begin(self, name: str) -> dict[str, Any]:
        step = self._use(name)
        step["status"] = "running"
        step["started_at"] = self._now()
        self._open.append(name)
        self._current = name
        return step

    def _end(self, step: dict[str, Any], status: str) -> None:
        step["status"] = status
        step["completed_at"] = self._now()
        step.pop("actions", None)
        self._open.remove(step["name"])
        if self._open:
            self._current = self._open[-1]
        if status in ("failed", "cancelled"):
            self._skip_rest(step)

    def _skip_rest(self, failed: dict[str, Any] | None = None) -> None:
        """Show what was not begun as skipped. Code that goes on all the same may still begin it."""
        later = failed is None
        for step in self._steps.values():
            if later and step["status"] == "waiting":
                step["status"] = "skipped"
            later = later or step is failed

    @contextmanager
    def _expiring(self, step: dict[str, Any], timeout: Duration | None) -> Iterator[None]:
        """Show until when somebody has time, while the code waits."""
        if timeout is not None:
            step["expires_at"] = self._now() + seconds(timeout)
        try:
            yield
        finally:
            if self._course.suspended is None:
                step.pop("expires_at", None)


def _labels(actions: Sequence[str]) -> list[str]:
    if isinstance(actions, str):
        raise TypeError(f"actions are a list of labels: [{actions!r}], not {actions!r}")
    for label in actions:
        if not isinstance(label, str) or not label:
            raise TypeError(f"an action is a label, a string that is not empty, not {label!r:.100}")
    return list(actions)


def _pressed(payload: Any, step: str, buttons: Sequence[str]) -> bool:
    return isinstance(payload, dict) and payload.get("step") == step and payload.get("action") in buttons


def _action(payload: dict[str, Any]) -> StepAction:
    user = payload.get("user")
    return StepAction(payload["step"], payload["action"], None if user is None else str(user))
