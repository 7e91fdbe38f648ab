"""From words to what they say, by recursive descent:

    filter     = [ either ] [ ORDER BY field [ ASC | DESC ] ]
    either     = both { OR both }
    both       = turned { AND turned }
    turned     = NOT turned | "(" either ")" | test
    test       = field ( = | != | < | <= | > | >= ) value
               | field [ NOT ] IN "(" value { "," value } ")"
               | field [ NOT ] BETWEEN value AND value
               | field [ NOT ] STARTS_WITH text
               | field IS [ NOT ] NULL

Keywords are in any case. A bare name that is a field of the run means that; any other, and each quoted one,
is a search attribute.
"""

from __future__ import annotations

import math
import re
from datetime import UTC
from datetime import datetime

from .terms import FIELDS
from .terms import NEWEST_FIRST
from .terms import All
from .terms import Condition
from .terms import Either
from .terms import Field
from .terms import Kind
from .terms import Order
from .terms import Scalar
from .terms import Test
from .terms import attribute
from .terms import both
from .terms import turn
from .words import Word
from .words import refusal
from .words import words

MAX_CHARS = 4096
MAX_DEPTH = 32  # brackets and NOTs inside each other
MAX_VALUES = 200  # in all tests together
MAX_NAME_CHARS = 255

SIGNS = ("=", "!=", "<>", "<", "<=", ">", ">=")
RESERVED = ("AND", "OR", "NOT", "IN", "BETWEEN", "STARTS_WITH", "IS", "NULL", "ORDER", "BY", "ASC", "DESC", "TRUE",
            "FALSE")  # fmt: skip
_AFTER_A_FIELD = "=, !=, <, <=, >, >=, IN, BETWEEN, STARTS_WITH or IS"
_EQUALITY_ONLY = (Kind.CHOICE, Kind.BOOLEAN)
_BY_LOWER_CASE = {name.lower(): name for name in FIELDS}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhdw])+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw])")
_UNIT_SECS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EXAMPLES = {
    Kind.TEXT: "a text, such as 'order-7'",
    Kind.TIME: "a time, such as '2026-11-25T14:00:00Z', or seconds since the epoch",
    Kind.DURATION: "seconds, or a duration such as '90s' or '1h30m'",
    Kind.NUMBER: "a number, such as 5",
    Kind.BOOLEAN: "true or false",
    Kind.ATTRIBUTE: "a value, such as 'text', 5 or true",
}


def parse(text: str) -> tuple[Condition, Order]:
    """Read a filter. Raises Invalid, code invalid_filter, whose details name the character."""
    if len(text) > MAX_CHARS:
        raise refusal(MAX_CHARS + 1, f"a filter has at most {MAX_CHARS} characters")
    if (at := text.find("\x00")) >= 0:
        raise refusal(at + 1, "a filter must not hold NUL")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise refusal(error.start + 1, "half of a surrogate pair is no character") from None
    return _Parser(text).filter()


class _Parser:
    def __init__(self, text: str) -> None:
        self._rest = words(text)
        self._word = next(self._rest)
        self._depth = 0
        self._values = 0

    # ------------------------------------------------------------------------------------ the words

    def _take(self) -> Word:
        taken = self._word
        if taken.kind != "end":
            self._word = next(self._rest)
        return taken

    def _took_word(self, *keywords: str) -> Word | None:
        return self._take() if self._word.is_word(*keywords) else None

    def _took_sign(self, *signs: str) -> Word | None:
        return self._take() if self._word.is_sign(*signs) else None

    def _missing(self, expected: str) -> Exception:
        return refusal(self._word.at, f"expected {expected}, found {self._word}")

    def _need_word(self, keyword: str) -> None:
        if self._took_word(keyword) is None:
            raise self._missing(keyword)

    def _need_sign(self, sign: str) -> None:
        if self._took_sign(sign) is None:
            raise self._missing(sign)

    # ---------------------------------------------------------------------------------- the grammar

    def filter(self) -> tuple[Condition, Order]:
        """Read all of it."""
        bare = self._word.kind == "end" or self._word.is_word("ORDER")
        condition = All() if bare else self._either()
        order = NEWEST_FIRST
        if self._took_word("ORDER"):
            self._need_word("BY")
            order = self._order()
        if self._word.is_sign(","):
            raise refusal(self._word.at, "runs are ordered by one field")
        if self._word.kind != "end":
            raise self._missing("AND, OR, ORDER BY or the end" if order is NEWEST_FIRST else "ASC, DESC or the end")
        return condition, order

    def _order(self) -> Order:
        word, field = self._word, self._field()
        if field.kind in _EQUALITY_ONLY:
            raise refusal(word.at, f"{field.name} has no order: take a time, a number, a text or a search attribute")
        way = self._took_word("ASC", "DESC")
        return Order(field, descending=way is not None and way.is_word("DESC"))

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._took_word("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Condition:
        parts = [self._turned()]
        while self._took_word("AND"):
            parts.append(self._turned())
        return both(parts)

    def _turned(self) -> Condition:
        opening = self._took_word("NOT") or self._took_sign("(")
        if opening is None:
            return self._test()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise refusal(opening.at, f"brackets and NOTs are at most {MAX_DEPTH} levels deep")
        if opening.is_word("NOT"):
            condition = turn(self._turned())
        else:
            condition = self._either()
            if self._took_sign(")") is None:
                raise self._missing("AND, OR or )")
        self._depth -= 1
        return condition

    def _test(self) -> Condition:
        field = self._field()
        if self._took_word("IS"):
            turned = self._took_word("NOT") is None
            self._need_word("NULL")
            return Test(field, "has", turned=turned)
        if sign := self._took_sign(*SIGNS):
            return self._comparison(field, sign)
        turned = self._took_word("NOT") is not None
        condition = self._listed(field)
        return both((Test(field, "has"), turn(condition))) if turned else condition

    def _comparison(self, field: Field, sign: Word) -> Condition:
        if sign.written in ("=", "!=", "<>"):
            test = Test(field, "=", (self._value(field),))
            return test if sign.written == "=" else both((Test(field, "has"), turn(test)))
        self._refuse_order(field, sign)
        return Test(field, sign.written, (self._value(field),))

    def _listed(self, field: Field) -> Condition:
        """Read what may have a NOT before it."""
        if self._took_word("IN"):
            self._need_sign("(")
            values = [self._value(field)]
            while self._took_sign(","):
                values.append(self._value(field))
            if self._took_sign(")") is None:
                raise self._missing(", or )")
            return Test(field, "=", tuple(values))
        if word := self._took_word("BETWEEN"):
            self._refuse_order(field, word)
            low = self._value(field)
            self._need_word("AND")
            return both((Test(field, ">=", (low,)), Test(field, "<=", (self._value(field),))))
        if word := self._took_word("STARTS_WITH"):
            if field.kind not in (Kind.TEXT, Kind.ATTRIBUTE):
                raise refusal(word.at, f"{field.name} is no text: STARTS_WITH is for texts")
            at = self._word.at
            prefix = self._value(field)
            if not isinstance(prefix, str):
                raise refusal(at, f"expected {_EXAMPLES[Kind.TEXT]}, found {prefix}")
            return Test(field, "starts", (prefix,))
        raise self._missing(_AFTER_A_FIELD)

    @staticmethod
    def _refuse_order(field: Field, word: Word) -> None:
        if field.kind in _EQUALITY_ONLY:
            raise refusal(word.at, f"{field.name} has no order: ask with =, != or IN")

    # -------------------------------------------------------------------------------- names, values

    def _field(self) -> Field:
        word = self._word
        if word.kind == "quoted":
            self._take()
            return attribute(_short(word))
        if word.kind != "name" or word.is_word(*RESERVED):
            raise self._missing("a field, such as Status or a search attribute")
        self._take()
        if word.written in FIELDS:
            return FIELDS[word.written]
        if meant := _BY_LOWER_CASE.get(word.written.lower().replace("_", "")):
            raise refusal(word.at, f"write {meant}, or `{word.written}` for a search attribute of that name")
        return attribute(_short(word))

    def _value(self, field: Field) -> Scalar:
        word = self._word
        self._values += 1
        if self._values > MAX_VALUES:
            raise refusal(word.at, f"a filter has at most {MAX_VALUES} values")
        if word.is_word("NULL"):
            raise refusal(word.at, "nothing equals NULL: ask with IS NULL or IS NOT NULL")
        value: Scalar
        if word.is_word("TRUE", "FALSE"):
            value = word.is_word("TRUE")
        elif word.kind in ("text", "number"):
            value = word.value
        elif word.kind in ("quoted", "name") and not word.is_word(*RESERVED):
            raise refusal(word.at, f"expected {_expected(field)}, found a name: a text stands in single quotes")
        else:
            raise self._missing(_expected(field))
        self._take()
        meant = _meant(field, value)
        if meant is None:
            raise refusal(word.at, f"{field.name}: expected {_expected(field)}, found {word}")
        return meant


def _short(word: Word) -> str:
    name = str(word.value)
    if len(name) > MAX_NAME_CHARS:
        raise refusal(word.at, f"a name has at most {MAX_NAME_CHARS} characters")
    return name


def _expected(field: Field) -> str:
    return f"one of {', '.join(map(repr, map(str, field.choices)))}" if field.choices else _EXAMPLES[field.kind]


def _meant(field: Field, value: Scalar) -> Scalar:
    """Give the value as the field has it, or None where the field can have no such value."""
    kind = field.kind
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is Kind.ATTRIBUTE:
        return value
    if kind is Kind.BOOLEAN:
        return value if isinstance(value, bool) else None
    if kind is Kind.NUMBER:
        return value if number else None
    if kind is Kind.CHOICE:
        return value if value in field.choices else None
    if kind is Kind.TEXT:
        return value if isinstance(value, str) else None
    if number:
        return value
    if not isinstance(value, str):
        return None
    return _moment(value) if kind is Kind.TIME else _seconds(value)


def _moment(text: str) -> float | None:
    """Read a time with its offset, or a day, which begins in UTC."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            if len(text) > len("2026-11-25"):
                return None
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


def _seconds(text: str) -> float | None:
    if _DURATION.fullmatch(text) is None:
        return None
    secs = math.fsum(float(number) * _UNIT_SECS[unit] for number, unit in _PART.findall(text))
    return secs if math.isfinite(secs) else None
