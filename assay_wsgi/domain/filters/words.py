"""From a text to its words: names, values, signs, each with its place. Nothing here knows what they mean."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

from ..errors import Invalid

LARGEST = 2**63 - 1  # what both databases compare as an integer

_WORD = re.compile(
    r"""(?P<space> \s+ )
      | (?P<text> '(?:[^']|'')*' )
      | (?P<quoted> `(?:[^`]|``)*` | "(?:[^"]|"")*" )
      | (?P<number> [-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)? )
      | (?P<name> [A-Za-z_][A-Za-z0-9_.:-]* )
      | (?P<sign> <= | >= | != | <> | [=<>(),] )""",
    re.VERBOSE,
)
_LONGEST_NUMBER = 40  # digits and all


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a filter, and at which character it begins (the first is 1)."""

    kind: str  # text, quoted, number, name, sign, end
    written: str  # as it stands there
    value: Union[str, int, float]  # what it means: without its quotes, as a number
    at: int

    def is_word(self, *keywords: str) -> bool:
        """Whether it is one of these keywords, in whatever case."""
        return self.kind == "name" and self.written.upper() in keywords

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of these signs."""
        return self.kind == "sign" and self.written in signs

    def __str__(self) -> str:
        return (
            "the end" if self.kind == "end" else self.written if len(self.written) <= 40 else f"{self.written:.37}..."
        )


def refusal(at: int, text: str) -> Invalid:
    """Give the error that names the place of a fault."""
    details = [{"field": "q", "issue": "invalid_filter", "position": at}]
    return Invalid(f"q: at character {at}: {text}", code="invalid_filter", details=details)


def words(text: str) -> Iterator[Word]:
    """Take a text apart; the last word is its end. Raises Invalid."""
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            raise refusal(at + 1, _unreadable(text[at]))
        kind = str(found.lastgroup)
        if kind != "space":
            yield Word(kind, found.group(), _meaning(kind, found.group(), at + 1), at + 1)
        at = found.end()
    yield Word("end", "", "", len(text) + 1)


def _meaning(kind: str, written: str, at: int) -> Union[str, int, float]:
    if kind == "number":
        return _number(written, at)
    if kind not in ("text", "quoted"):
        return written
    inside = written[1:-1].replace(written[0] * 2, written[0])
    if kind == "quoted" and not inside:
        raise refusal(at, "a name has at least one character")
    return inside


def _number(written: str, at: int) -> Union[int, float]:
    if len(written) > _LONGEST_NUMBER:
        raise refusal(at, f"a number has at most {_LONGEST_NUMBER} characters")
    try:
        whole = int(written)
    except ValueError:
        number = float(written)
        if not math.isfinite(number):
            raise refusal(at, "this number is beyond all numbers") from None
        return number
    if not -LARGEST - 1 <= whole <= LARGEST:
        raise refusal(at, "a whole number has at most 64 bits")
    return whole


def _unreadable(character: str) -> str:
    if character in "'`\"":
        return f"the quote {character} is never closed"
    if character.isalpha():
        return f"a name with {character} in it stands in backquotes"
    return f"{character!r} means nothing here"
