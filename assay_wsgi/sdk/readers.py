"""Readers: each makes a value of one declared type from JSON, and says what it needs where the JSON does not fit.

A reader is called with decoded JSON. It raises Misfit, which each reader around it tells where it was.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import enum
import json
import re
import sys
import uuid
from collections.abc import Mapping
from typing import Any
from typing import Callable
from typing import Union

from .encoding import json_text
from .errors import Misfit

NULL, BOOLEAN, NUMBER, STRING, LIST, OBJECT = "null", "boolean", "number", "string", "list", "object"
ANY_KIND = frozenset({NULL, BOOLEAN, NUMBER, STRING, LIST, OBJECT})
_KINDS: dict[type, str] = {
    type(None): NULL,
    bool: BOOLEAN,
    int: NUMBER,
    float: NUMBER,
    str: STRING,
    list: LIST,
    dict: OBJECT,
}


class Reader:
    """What all readers have: the kinds of JSON that they may read, and words for what they need."""

    kinds: frozenset[str] = ANY_KIND
    needs = "JSON"  # what it reads, with its article
    closed = False  # whether it reads only values that it can list
    makes: Any = None  # what it makes, where readers of the same kind may make the same

    def __call__(self, value: Any) -> Any:
        """Make the value. Raises Misfit."""
        raise NotImplementedError

    def misfit(self, value: Any) -> Misfit:
        """Return the error for what is not needed."""
        return Misfit(f"needs {self.needs}, not {shown(value)}")

    def knows(self, value: Any) -> bool:  # noqa: ARG002
        """Say whether nothing of an object is unknown to it."""
        return True


class Scalar(Reader):
    """One of JSON's own scalars, as it is."""

    def __init__(self, kind: type, json_kind: str, needs: str) -> None:
        self.kinds = frozenset({json_kind})
        self.needs = needs
        self.makes = kind

    def __call__(self, value: Any) -> Any:
        if value.__class__ is self.makes:
            return value
        raise self.misfit(value)


class Whole(Scalar):
    """A whole number; some languages write 5 as 5.0."""

    def __call__(self, value: Any) -> Any:
        if value.__class__ is float and value.is_integer():
            return int(value)
        return super().__call__(value)


class Number(Scalar):
    """A number that need not be whole."""

    def __call__(self, value: Any) -> Any:
        if value.__class__ is int:
            try:
                return float(value)
            except OverflowError:
                raise self.misfit(value) from None
        return super().__call__(value)


class Parsed(Reader):
    """What JSON writes as a string or a number, such as a date."""

    def __init__(self, kind: Any, json_kinds: frozenset[str], needs: str, parse: Callable[[Any], Any]) -> None:
        self.kinds = json_kinds
        self.needs = needs
        self.makes = kind
        self._parse = parse

    def __call__(self, value: Any) -> Any:
        if _KINDS.get(value.__class__) not in self.kinds:
            raise self.misfit(value)
        try:
            return self._parse(value)
        except (ValueError, ArithmeticError) as error:
            raise self.misfit(value) from error


class Choice(Reader):
    """A member of an enum or a Literal."""

    closed = True

    def __init__(self, members: Mapping[str, Any], fallback: Callable[[Any], Any] | None = None) -> None:
        self._members = members  # by JSON text: there True is not 1
        self._fallback = fallback
        values = [json.loads(text) for text in members]
        self.kinds = frozenset(_KINDS[value.__class__] for value in values) if fallback is None else ANY_KIND
        self.needs = "one of " + ", ".join(json.dumps(value, ensure_ascii=False) for value in values)

    def __call__(self, value: Any) -> Any:
        text = json_text(value)
        if text in self._members:
            return self._members[text]
        if self._fallback is not None:
            try:
                found = self._fallback(value)
            except (ValueError, TypeError):
                found = None
            if found is not None and (value.__class__ is bool) == (found.value.__class__ is bool):  # True == 1
                return found
        raise self.misfit(value)


class Several(Reader):
    """A list, a tuple of any length or a set, of items of one type."""

    kinds = frozenset({LIST})

    def __init__(self, makes: Any, item: Callable[[Any], Any] | None) -> None:
        self.makes = makes
        self.needs = "a list" if makes is list else f"a list (as a {makes.__name__})"
        self._item = item

    def __call__(self, value: Any) -> Any:
        if value.__class__ is not list:
            raise self.misfit(value)
        if self._item is None:
            return value if self.makes is list else self._made(value)
        found: list[Any] = []
        try:
            for one in value:
                found.append(self._item(one))  # noqa: PERF401 -- its length says where the misfit is
        except Misfit as error:
            error.inside(f"[{len(found)}]")
            raise
        return found if self.makes is list else self._made(found)

    def _made(self, items: list[Any]) -> Any:
        try:
            return self.makes(items)
        except TypeError as error:  # a set of what has no hash
            raise Misfit(f"cannot be a {self.makes.__name__}: {error}") from error


class Row(Reader):
    """A tuple of a fixed length."""

    kinds = frozenset({LIST})
    makes = "row"

    def __init__(self, items: list[Callable[[Any], Any] | None]) -> None:
        self._items = items
        self.needs = f"a list of {len(items)}"

    def __call__(self, value: Any) -> Any:
        if value.__class__ is not list:
            raise self.misfit(value)
        if len(value) != len(self._items):
            raise Misfit(f"needs {self.needs}, not of {len(value)}")
        found: list[Any] = []
        try:
            for read, one in zip(self._items, value):
                found.append(read(one) if read else one)
        except Misfit as error:
            error.inside(f"[{len(found)}]")
            raise
        return tuple(found)


class Members(Reader):
    """A dict: names of one type, members of another."""

    kinds = frozenset({OBJECT})
    needs = "an object"
    makes = dict

    def __init__(self, name: Callable[[Any], Any] | None, member: Callable[[Any], Any] | None) -> None:
        self._name = name
        self._member = member

    def __call__(self, value: Any) -> Any:
        if value.__class__ is not dict:
            raise self.misfit(value)
        if self._name is None and self._member is None:
            return value
        found = {}
        for key, one in value.items():
            try:
                name = self._name_of(key)
                if name in found:
                    raise Misfit(f"is there twice, as {name!r}")
                found[name] = self._member(one) if self._member else one
            except Misfit as error:
                error.inside(f"[{json.dumps(key[:60], ensure_ascii=False)}]")
                raise
        return found

    def _name_of(self, key: str) -> Any:
        if self._name is None:
            return key
        try:
            return self._name(key)
        except Misfit:
            try:  # JSON has only strings there: a number became one
                return self._name(json.loads(key))
            except ValueError:  # a Misfit is one
                pass
            raise


class Either(Reader):
    """A union, as far as JSON lets its arms be told apart."""

    def __init__(self, arms: list[Reader]) -> None:
        self._arms = arms
        self.kinds = frozenset().union(*(arm.kinds for arm in arms))
        self.needs = " or ".join(arm.needs for arm in arms)
        self._conflicts = {kind: trouble for kind in sorted(self.kinds) if (trouble := self._conflict(kind))}

    def _conflict(self, kind: str) -> str | None:
        """Say which arms no value of a kind of JSON could ever be told apart for."""
        arms = [arm for arm in self._arms if kind in arm.kinds and not arm.closed]
        makers = {id(arm) if arm.makes is None else arm.makes for arm in arms}
        if kind in (NULL, BOOLEAN) or len(makers) < 2 or makers == {int, float}:
            return None
        if kind == OBJECT and dict not in makers:
            return None  # their members tell
        said = " and ".join(arm.needs for arm in arms)
        article = "an" if kind == OBJECT else "a"
        return f"is {article} {kind} in JSON whether it is {said}: they cannot be told apart"

    def __call__(self, value: Any) -> Any:
        kind = _KINDS.get(value.__class__)
        arms = [arm for arm in self._arms if kind in arm.kinds]
        if len(arms) == 1:
            return arms[0](value)
        if not arms:
            raise self.misfit(value)
        for arm in arms:
            if arm.closed:
                try:
                    return arm(value)
                except Misfit:
                    continue
        arms = [arm for arm in arms if not arm.closed]
        if kind in self._conflicts:
            raise Misfit(self._conflicts[kind])
        if kind == NUMBER:
            arms = [arm for arm in arms if arm.makes is value.__class__] or arms
        return self._only(arms, value)

    def _only(self, arms: list[Reader], value: Any) -> Any:
        fits: list[tuple[Reader, Any]] = []
        troubles: list[str] = []
        for arm in arms:
            try:
                fits.append((arm, arm(value)))
            except Misfit as error:
                troubles.append(f"{arm.needs}: {error}")
        if not fits:
            if len(troubles) == 1:
                return arms[0](value)
            raise Misfit(f"fits none of them ({'; '.join(troubles)})" if troubles else f"needs {self.needs}")
        if len(fits) > 1:
            fits = [fit for fit in fits if fit[0].knows(value)] or fits
        first = fits[0][1]
        if all(found.__class__ is first.__class__ and found == first for _, found in fits):
            return first
        raise Misfit(
            f"could be {' or '.join(arm.needs for arm, _ in fits)}: "
            "give each a member whose Literal type tells it from the others"
        )


class Later(Reader):
    """Stands for a reader that is made when it is first needed: it may be inside itself."""

    def __init__(self, make: Callable[[], Union[Callable[[Any], Any], None]]) -> None:
        self._make = make

    def __call__(self, value: Any) -> Any:
        read = self._make()
        return read(value) if read else value


class Unreadable(Reader):
    """A class that JSON cannot be made into."""

    def __init__(self, kind: Any) -> None:
        self.needs = name_of(kind)

    def __call__(self, _value: Any) -> Any:
        raise Misfit(
            f"{self.needs} cannot be made of JSON: use a dataclass, TypedDict, NamedTuple, pydantic model, "
            "Enum, or one of JSON's own types"
        )


def name_of(kind: Any) -> str:
    """Return a type's name for people."""
    return str(getattr(kind, "__qualname__", None) or kind).rpartition("<locals>.")[2]


def shown(value: Any) -> str:
    """Show JSON in an error: short, and nothing of what is inside."""
    if value.__class__ is dict:
        return "an object"
    if value.__class__ is list:
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."


# ------------------------------------------------------------------------------------- the standard library's


def enum_reader(kind: type[enum.Enum]) -> Reader:
    """Return the reader of an enum: by value, and as its own `_missing_` says."""
    return Choice({json_text(member.value): member for member in kind}, kind)


def _datetime(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(_iso(text))


def _time(text: str) -> datetime.time:
    return datetime.time.fromisoformat(_iso(text))


if sys.version_info >= (3, 11):

    def _iso(text: str) -> str:
        return text
else:  # there the standard library knows neither Z nor a fraction of one digit

    def _iso(text: str) -> str:
        text = re.sub(r"[Zz]$", "+00:00", text)
        return re.sub(r"\.(\d{1,9})", lambda found: "." + found[1].ljust(6, "0")[:6], text)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _decimal(value: Any) -> decimal.Decimal:
    return decimal.Decimal(repr(value) if isinstance(value, float) else value)


_TEXT = frozenset({STRING})

READERS: dict[Any, Reader] = {
    type(None): Scalar(type(None), NULL, "null"),
    bool: Scalar(bool, BOOLEAN, "true or false"),
    int: Whole(int, NUMBER, "a whole number"),
    float: Number(float, NUMBER, "a number"),
    str: Scalar(str, STRING, "a string"),
    list: Several(list, None),
    tuple: Several(tuple, None),
    set: Several(set, None),
    frozenset: Several(frozenset, None),
    dict: Members(None, None),
    bytes: Parsed(bytes, _TEXT, "bytes as base64", _bytes),
    datetime.datetime: Parsed(datetime.datetime, _TEXT, "an ISO 8601 date and time", _datetime),
    datetime.date: Parsed(datetime.date, _TEXT, "an ISO 8601 date", datetime.date.fromisoformat),
    datetime.time: Parsed(datetime.time, _TEXT, "an ISO 8601 time", _time),
    datetime.timedelta: Parsed(
        datetime.timedelta, frozenset({NUMBER}), "seconds", lambda secs: datetime.timedelta(seconds=secs)
    ),
    uuid.UUID: Parsed(uuid.UUID, _TEXT, "a UUID", uuid.UUID),
    decimal.Decimal: Parsed(decimal.Decimal, frozenset({STRING, NUMBER}), "a decimal number", _decimal),
}
