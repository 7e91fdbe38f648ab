"""What a worker needs for as long as it works: entered before the first task, left after the last."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from contextlib import AbstractContextManager
from contextlib import ExitStack
from contextlib import contextmanager
from typing import Any
from typing import Callable
from typing import TypeVar

Lifespan = Callable[[], Any]  # a generator function that yields once, or what returns a context manager
L = TypeVar("L", bound=Lifespan)


def manager(fn: Lifespan) -> Callable[[], AbstractContextManager[Any]]:
    """Return what makes the context manager of a lifespan. Raises TypeError for what can be none."""
    name = getattr(fn, "__qualname__", repr(fn))
    if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(f"{name}: a lifespan is a plain synchronous function")
    if inspect.isgeneratorfunction(fn):
        return contextmanager(fn)

    def made() -> AbstractContextManager[Any]:
        context = fn()
        if not (hasattr(context, "__enter__") and hasattr(context, "__exit__")):
            raise TypeError(f"{name}: a lifespan yields once, or returns a context manager; this returned {context!r}")
        return context  # type: ignore[no-any-return]

    return made


def entered(lifespans: Iterable[Lifespan]) -> ExitStack:
    """Enter all, in order; return what leaves them, the last one first. What raises leaves those entered before."""
    stack = ExitStack()
    try:
        for one in lifespans:
            stack.enter_context(manager(one)())
    except BaseException:
        stack.close()  # as at any end: what one raises is none of the others' business
        raise
    return stack
