"""Between JSON and the types that user code declares: dataclasses, enums, dates, containers of them.

`decoder(annotation)` is compiled once per definition and is None where JSON can be handed on as it is.
Unknown members of a dataclass's object are ignored: a newer sender may know more.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import logging
import sys
import typing
import uuid
from typing import Any
from typing import Callable

Decoder = Callable[[Any], Any]

log = logging.getLogger(__name__)

_UNIONS: list[Any] = [typing.Union]
if sys.version_info >= (3, 10):
    import types

    _UNIONS.append(types.UnionType)


def to_json(value: Any) -> Any:
    """Convert what the JSON encoder does not know. Raises TypeError for the rest."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (uuid.UUID, decimal.Decimal)):
        return str(value)
    if isinstance(value, (set, frozenset)):
        raise TypeError("a set has no order: make it a sorted list before it is recorded")
    raise TypeError(f"{type(value).__qualname__} is not JSON: {value!r:.100}")


def hints_of(fn: Any) -> dict[str, Any]:
    """Return the annotations of a function or dataclass as types; what cannot be resolved is left out."""
    try:
        return typing.get_type_hints(fn)
    except Exception:  # noqa: BLE001 -- any name in an annotation may be unknown; find out which, below
        return _hints_one_by_one(fn)


def _hints_one_by_one(fn: Any) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    scope = getattr(fn, "__globals__", None) or vars(sys.modules[fn.__module__])
    for name, annotation in getattr(fn, "__annotations__", {}).items():
        try:
            hints[name] = eval(annotation, scope) if isinstance(annotation, str) else annotation
        except Exception as error:  # noqa: BLE001
            log.warning(
                "annotation %s: %r of %s cannot be resolved (%s): its JSON is handed over undecoded",
                name, annotation, getattr(fn, "__qualname__", fn), error,
            )  # fmt: skip
    return hints


def decoder(annotation: Any) -> Decoder | None:
    """Return what turns JSON into `annotation`, or None where nothing is to be done."""
    if annotation is None or annotation is Any or isinstance(annotation, (str, typing.TypeVar)):
        return None
    if isinstance(annotation, type):
        found = _of_class(annotation)
        if found is not None:
            return found
    return _of_container(annotation)


def _of_class(kind: Any) -> Decoder | None:
    if dataclasses.is_dataclass(kind):
        return _Dataclass(kind)
    if issubclass(kind, enum.Enum):
        by_value: Decoder = kind
        return by_value
    return _READERS.get(kind)


_READERS: dict[Any, Decoder] = {
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
    datetime.timedelta: lambda seconds: datetime.timedelta(seconds=seconds),
    uuid.UUID: uuid.UUID,
    decimal.Decimal: decimal.Decimal,
}


def _of_container(annotation: Any) -> Decoder | None:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in _UNIONS:
        some = [arm for arm in inner if arm is not type(None)]
        arm = decoder(some[0]) if len(some) == 1 else None  # a real union cannot be told apart in JSON
        return arm and (lambda value: None if value is None else arm(value))
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        items = [decoder(one) or _same for one in inner]
        return lambda value: tuple(item(one) for item, one in zip(items, value))
    if origin in (list, tuple, set, frozenset):
        item = decoder(inner[0]) if inner else None
        return lambda value: origin(map(item, value) if item else value)
    if annotation in (tuple, set, frozenset):
        return annotation  # type: ignore[no-any-return]  # a class is its own decoder
    if origin is dict and len(inner) == 2:
        member = decoder(inner[1])
        return member and (lambda value: {key: member(one) for key, one in value.items()})
    return None


def _same(value: Any) -> Any:
    return value


class _Dataclass:
    """Builds one dataclass. Its fields are looked at when first used: they may refer to it."""

    __slots__ = ("fields", "kind")

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.fields: dict[str, Decoder | None] | None = None

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"{self.kind.__qualname__} needs a JSON object, not {type(value).__name__}")
        if self.fields is None:
            hints = hints_of(self.kind)
            self.fields = {
                field.name: decoder(hints.get(field.name)) for field in dataclasses.fields(self.kind) if field.init
            }
        members = {}
        for name, decode in self.fields.items():
            if name in value:
                members[name] = decode(value[name]) if decode else value[name]
        return self.kind(**members)
