"""From JSON to the types that user code declares: `decoder` finds the reader of an annotation."""

from __future__ import annotations

import collections.abc
import enum
import typing
from functools import lru_cache
from typing import Any
from typing import Callable

from .annotations import UNIONS
from .annotations import bare
from .encoding import json_text
from .errors import Misfit
from .readers import READERS
from .readers import Choice
from .readers import Either
from .readers import Later
from .readers import Members
from .readers import Reader
from .readers import Row
from .readers import Several
from .readers import Unreadable
from .readers import enum_reader
from .structures import structure_of

Decoder = Callable[[Any], Any]

_abc = collections.abc
_LISTS: dict[Any, Any] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    **dict.fromkeys((_abc.Sequence, _abc.MutableSequence, _abc.Collection, _abc.Iterable), list),
    **dict.fromkeys((_abc.Set, _abc.MutableSet), set),
}
_OBJECTS = (dict, _abc.Mapping, _abc.MutableMapping)


def decoder(annotation: Any) -> Decoder | None:
    """Return what turns JSON into `annotation`, or None where nothing is asked for (None, Any) or known.

    The decoder raises Misfit, which says where in the value what is wrong.
    """
    if annotation is None:
        return None
    try:
        return _remembered(annotation)
    except TypeError:  # an annotation without a hash
        return _reader(annotation)


def named(decode: Decoder, name: str) -> Decoder:
    """Return a decoder whose errors begin with a name."""

    def read(value: Any) -> Any:
        try:
            return decode(value)
        except Misfit as error:
            error.inside(name)
            raise

    return read


def _reader(annotation: Any) -> Reader | None:
    annotation = bare(annotation)
    if annotation in (Any, object) or isinstance(annotation, (str, typing.TypeVar, typing.ForwardRef)):
        return None
    if annotation is None:
        annotation = type(None)
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is None and hasattr(annotation, "__value__"):  # type X = ...
        return Later(lambda: _remembered(annotation.__value__))
    if origin in UNIONS:
        arms = [_remembered(arm) for arm in inner]
        return None if None in arms else Either([arm for arm in arms if arm is not None])
    if origin is typing.Literal:
        return Choice({json_text(value): value for value in inner})
    return _of_class(annotation if origin is None else origin, inner)


_remembered = lru_cache(maxsize=4096)(_reader)


def _of_class(kind: Any, inner: tuple[Any, ...]) -> Reader:
    if kind in READERS and not inner:
        return READERS[kind]
    if kind is tuple and inner[-1] is not Ellipsis:
        return Row([] if inner == ((),) else [_remembered(one) for one in inner])
    if kind in _LISTS:
        return Several(_LISTS[kind], _remembered(inner[0]) if inner else None)
    if kind in _OBJECTS:
        return Members(*(None if one is str else _remembered(one) for one in (inner or (str, Any))))
    if not isinstance(kind, type):
        return Unreadable(kind)
    found = structure_of(kind, inner, _remembered)
    if found is not None:
        return found
    if issubclass(kind, enum.Enum):
        return enum_reader(kind)
    for base in (str, int, float):
        if issubclass(kind, base):
            return _Subclass(kind, READERS[base])
    return Unreadable(kind)


class _Subclass(Reader):
    """A class of the user's own that is a kind of string or number."""

    def __init__(self, kind: Any, base: Reader) -> None:
        self.kinds = base.kinds
        self.needs = base.needs
        self.makes = kind
        self._base = base

    def __call__(self, value: Any) -> Any:
        try:
            return self.makes(self._base(value))
        except (ValueError, TypeError) as error:
            if isinstance(error, Misfit):
                raise
            raise Misfit(str(error)) from error
