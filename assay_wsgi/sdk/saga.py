"""A saga: what was done is undone, last thing first, when the run cannot go on.

Compensations are steps like any other, so a replay finds them in history. They run for an error that fails
the run and for its cancellation. A bug is neither: it fails the turn, and the code goes on where it was once
it is mended, so nothing may be undone for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from typing import Callable
from typing import overload

from .course import Course
from .definitions import ActivityDefinition
from .definitions import P
from .errors import ApplicationError
from .errors import CompensationError
from .errors import StepError
from .errors import WorkflowCancelled
from .handles import ActivityHandle

Bind = Callable[[Any, tuple[Any, ...], dict[str, Any]], Callable[[], ActivityHandle[Any]]]


class Saga:
    """Compensations in the order in which they were deferred. `ctx.saga()` makes one."""

    __slots__ = ("_bind", "_deferred", "_open")

    def __init__(self, bind: Bind) -> None:
        self._bind = bind
        self._deferred: list[Callable[[], ActivityHandle[Any]]] = []
        self._open = True

    @overload
    def defer(self, activity: ActivityDefinition[P, Any], *args: P.args, **kwargs: P.kwargs) -> None: ...

    @overload
    def defer(self, activity: str, *args: Any, **kwargs: Any) -> None: ...

    def defer(self, activity: Any, *args: Any, **kwargs: Any) -> None:
        """Run this activity with these arguments, as they are now, if the block is left by an error.

        After a step, when its result is needed to undo it; before it, when it may have happened though it failed.
        """
        if not self._open:
            raise RuntimeError("saga.defer() belongs inside `with ctx.saga() as saga:`: this block has been left")
        self._deferred.append(self._bind(activity, args, kwargs))


@contextmanager
def saga(course: Course, bind: Bind) -> Iterator[Saga]:
    """Compensate when the block is left by what ends the run. Raises CompensationError when that fails too."""
    made = Saga(bind)
    try:
        yield made
    except (StepError, ApplicationError, WorkflowCancelled) as error:
        made._open = False
        failures = _compensate(course, made._deferred)
        if failures:
            raise CompensationError(error, failures) from error
        raise
    except Exception as error:
        if made._deferred:
            course.bar(
                f"{type(error).__name__} left a `with ctx.saga()` block, and its compensations did not run: for the "
                "SDK it is a bug, which fails the turn and not the run, so the code must not catch it outside of the "
                "block and go on; to end the saga raise ApplicationError, or an error derived from it"
            )
        raise
    finally:
        made._open = False


def _compensate(course: Course, deferred: list[Callable[[], ActivityHandle[Any]]]) -> list[StepError]:
    failures = []
    with course.shield():
        for start in reversed(deferred):
            try:
                start().result()
            except StepError as error:
                failures.append(error)
    return failures
