"""How a function's parameters and its JSON input belong together, both ways.

One parameter is the whole input; of several, each is a member of the input object; a function without
parameters ignores it.
"""

from __future__ import annotations

import inspect
from typing import Any
from typing import Callable

from .annotations import hints_of
from .convert import Decoder
from .convert import decoder
from .convert import named
from .errors import Misfit
from .readers import shown


class Binding:
    """How a function's parameters and its JSON input belong together."""

    __slots__ = ("_decoders", "_fn", "_hints", "names", "parameters")

    def __init__(self, fn: Callable[..., Any], skip: int) -> None:
        self._fn = fn
        self.parameters = list(inspect.signature(fn).parameters.values())[skip:]
        for one in self.parameters:
            if one.kind is one.VAR_POSITIONAL:
                raise TypeError(f"{fn.__qualname__}: *{one.name} cannot be bound by name")
        if len(self.parameters) > 1 and any(one.kind is one.POSITIONAL_ONLY for one in self.parameters):
            raise TypeError(f"{fn.__qualname__}: several parameters are bound by name, so '/' cannot be used")
        self.names = [one.name for one in self.parameters]
        self._hints: dict[str, Any] | None = None
        self._decoders: dict[str, Decoder | None] | None = None

    def hint(self, name: str) -> Any:
        """Return the type that a parameter, or "return", is annotated with."""
        if self._hints is None:  # at first use: the function's module is complete by then
            self._hints = hints_of(self._fn)
        return self._hints.get(name)

    @property
    def whole(self) -> bool:
        """Whether the only parameter takes the whole input."""
        return len(self.parameters) == 1 and self.parameters[0].kind is not inspect.Parameter.VAR_KEYWORD

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the input of a call. Raises TypeError when the arguments do not fit."""
        if self.whole and not kwargs and len(args) == 1:
            return args[0]
        try:
            bound = inspect.Signature(self.parameters).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._fn.__name__}({', '.join(self.names)}): {error}") from None
        if not self.parameters:
            return None
        if self.whole:
            bound.apply_defaults()
            return bound.arguments[self.names[0]]
        members = dict(bound.arguments)
        if self.parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
            members.update(members.pop(self.names[-1], {}))
        return members

    def unpack(self, value: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Make the arguments of a call from its input. Raises Misfit."""
        if not self.parameters:
            return (), {}
        decoders = self._decoders
        if decoders is None:
            decoders = self._decoders = {name: self._decoder(name) for name in self.names}
        if self.whole:
            parameter = self.parameters[0]
            if value is None and parameter.default is not parameter.empty:
                return (), {}
            decode = decoders[parameter.name]
            return (decode(value) if decode else value,), {}
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise Misfit(f"the input must be an object with {', '.join(self.names)}, not {shown(value)}")
        self._check_names(value)
        arguments = {}
        for name, member in value.items():
            decode = decoders.get(name)
            arguments[name] = decode(member) if decode else member
        return (), arguments

    def _decoder(self, name: str) -> Decoder | None:
        decode = decoder(self.hint(name))
        return decode and named(decode, name)

    def _check_names(self, members: dict[str, Any]) -> None:
        open_ended = self.parameters[-1].kind is inspect.Parameter.VAR_KEYWORD
        for one in self.parameters:
            if one.name not in members and one.default is one.empty and one.kind is not one.VAR_KEYWORD:
                raise Misfit("is missing").inside(one.name)
        unknown = [name for name in members if name not in self.names]
        if unknown and not open_ended:
            raise Misfit(f"there is no parameter {', '.join(unknown)}, only {', '.join(self.names)}")


def unbound_input(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make the input of what is known by its name only: one argument, or keywords."""
    if len(args) > 1 or (args and kwargs):
        raise TypeError(f"'{name}' is known by its name only: it takes one argument (its whole input), or keywords")
    return args[0] if args else (kwargs or None)
