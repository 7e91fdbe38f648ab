"""Readers of what has named members: dataclasses, TypedDicts, NamedTuples, and pydantic models without pydantic.

Members that a dataclass or NamedTuple does not have are ignored: a newer sender may know more. Members are
looked at when the first value is read: they may refer to the class itself.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from typing import Callable
from typing import NamedTuple

from .annotations import hints_of
from .annotations import substituted
from .annotations import wrapper_of
from .errors import Misfit
from .readers import ANY_KIND
from .readers import LIST
from .readers import OBJECT
from .readers import Reader
from .readers import name_of

ReaderOf = Callable[[Any], "Reader | None"]


class Member(NamedTuple):
    """One member of a structure."""

    read: Reader | None
    required: bool


class Structure(Reader):
    """What dataclasses, TypedDicts and NamedTuples have in common."""

    kinds = frozenset({OBJECT})

    def __init__(self, kind: Any, arguments: tuple[Any, ...], reader_of: ReaderOf) -> None:
        self.needs = f"an object ({name_of(kind)})"
        self._kind = kind
        self._arguments = arguments  # of a generic class
        self._reader_of = reader_of
        self._members: dict[str, Member] | None = None

    @property
    def members(self) -> dict[str, Member]:
        """The members by name."""
        if self._members is None:
            kind = self._kind
            hints = substituted(hints_of(kind), getattr(kind, "__parameters__", ()), self._arguments)
            self._members = self._found(hints)
        return self._members

    def knows(self, value: Any) -> bool:
        return value.__class__ is not dict or value.keys() <= self.members.keys()

    def __call__(self, value: Any) -> Any:
        if value.__class__ is not dict:
            raise self.misfit(value)
        return self._made({name: self._read(name, value[name]) for name in self._present(value)})

    def _present(self, value: dict[str, Any]) -> list[str]:
        names = []
        for name, member in self.members.items():
            if name in value:
                names.append(name)
            elif member.required:
                raise Misfit("is missing").inside(f".{name}")
        return names

    def _read(self, name: str, value: Any) -> Any:
        read = self.members[name].read
        if read is None:
            return value
        try:
            return read(value)
        except Misfit as error:
            error.inside(f".{name}")
            raise

    def _made(self, members: dict[str, Any]) -> Any:
        try:
            return self._kind(**members)
        except Misfit:
            raise
        except Exception as error:  # whatever the class itself checks
            raise Misfit(f"is no {name_of(self._kind)}: {type(error).__name__}: {error}") from error

    def _found(self, hints: dict[str, Any]) -> dict[str, Member]:
        raise NotImplementedError


class Dataclass(Structure):
    """A dataclass."""

    def _found(self, hints: dict[str, Any]) -> dict[str, Member]:
        none = dataclasses.MISSING
        return {
            field.name: Member(
                self._reader_of(hints.get(field.name, Any)), field.default is none and field.default_factory is none
            )
            for field in dataclasses.fields(self._kind)
            if field.init
        }


class TypedDictionary(Structure):
    """A TypedDict. Unknown members stay in it."""

    def __call__(self, value: Any) -> Any:
        if value.__class__ is not dict:
            raise self.misfit(value)
        return {**value, **{name: self._read(name, value[name]) for name in self._present(value)}}

    def _found(self, hints: dict[str, Any]) -> dict[str, Member]:
        found = {}
        for name, hint in hints.items():
            # In a module with `from __future__ import annotations` the class itself does not see the wrappers.
            wrapped = wrapper_of(hint)
            required = wrapped == "Required" or (wrapped != "NotRequired" and name in self._kind.__required_keys__)
            found[name] = Member(self._reader_of(hint), required)
        return found


class NamedRow(Structure):
    """A NamedTuple: JSON has a list, as of any tuple; an object is read too."""

    kinds = frozenset({LIST, OBJECT})
    makes = "row"

    def __init__(self, kind: Any, arguments: tuple[Any, ...], reader_of: ReaderOf) -> None:
        super().__init__(kind, arguments, reader_of)
        self.needs = f"a list ({name_of(kind)})"

    def __call__(self, value: Any) -> Any:
        if value.__class__ is list:
            names = list(self.members)
            if len(value) > len(names):
                raise Misfit(f"needs a list of {len(names)} ({name_of(self._kind)}), not of {len(value)}")
            value = dict(zip(names, value))
        return super().__call__(value)

    def _found(self, hints: dict[str, Any]) -> dict[str, Member]:
        kind = self._kind
        return {
            name: Member(self._reader_of(hints.get(name, Any)), name not in kind._field_defaults)
            for name in kind._fields
        }


class Model(Reader):
    """A pydantic model of either major version, known by its methods."""

    def __init__(self, kind: Any) -> None:
        self.needs = f"an object ({name_of(kind)})"
        self.kinds = ANY_KIND if getattr(kind, "__pydantic_root_model__", False) else frozenset({OBJECT})
        self._kind = kind

    def __call__(self, value: Any) -> Any:
        kind = self._kind
        try:
            if hasattr(kind, "model_validate_json"):  # from text: there even a strict model takes a date's string
                return kind.model_validate_json(json.dumps(value))
            return kind.parse_obj(value)
        except ValueError as error:  # pydantic's ValidationError is one
            raise _told(error) from error

    def knows(self, value: Any) -> bool:
        fields = getattr(self._kind, "model_fields", None) or getattr(self._kind, "__fields__", {})
        names = {name for key, field in fields.items() for name in (key, getattr(field, "alias", None))}
        return value.__class__ is not dict or value.keys() <= names


def structure_of(kind: Any, arguments: tuple[Any, ...], reader_of: ReaderOf) -> Reader | None:
    """Return the reader of a class with named members, None for another class."""
    if hasattr(kind, "model_validate_json") or (hasattr(kind, "parse_obj") and hasattr(kind, "__fields__")):
        return Model(kind)
    if dataclasses.is_dataclass(kind):
        return Dataclass(kind, arguments, reader_of)
    if issubclass(kind, dict) and hasattr(kind, "__required_keys__"):
        return TypedDictionary(kind, arguments, reader_of)
    if issubclass(kind, tuple) and hasattr(kind, "_field_defaults"):
        return NamedRow(kind, arguments, reader_of)
    return None


def _told(error: Any) -> Misfit:
    """Tell what pydantic found, the first misfit with its place."""
    found = error.errors() if callable(getattr(error, "errors", None)) else []
    if not found:
        return Misfit(str(error))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    misfit = Misfit(f"{found[0]['msg']}{more}")
    for part in reversed(found[0]["loc"]):
        if part != "__root__":
            misfit.inside(f"[{part}]" if isinstance(part, int) else f".{part}")
    return misfit
