"""What a value from outside must be: plain functions, shared by the schemas and by the commands.

Each gives the value as the engine wants it or raises BadValue, whose code is the issue that the answer names.
"""

from __future__ import annotations

import math
import re
from typing import Any

from .. import jsontext
from ..domain.errors import Invalid
from ..domain.requests import LONGEST_NAME

MAX_ID_CHARS = LONGEST_NAME
MAX_RUN_ID_CHARS = 300  # run-<workflow id>-<key>
MAX_TEXT_CHARS = 4096
MAX_TOKEN_CHARS = 256
MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
MAX_INTEGER = 2**31 - 1
MAX_LONG = 2**63 - 1  # what both databases compare as an integer
MAX_SECS = 10 * 366 * 86400.0
MAX_TIME = 4_133_980_800.0  # seconds since the epoch: the end of 2100
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_BYTES = 2 * 1024
MAX_ATTRIBUTES_BYTES = 40 * 1024

# What would make one name look like another, or tear a line of a log: control characters, directions of text,
# what has no width, line separators, and code points that are no characters.
_FORBIDDEN = re.compile(
    "[\x01-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_ATTRIBUTE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


class BadValue(ValueError):
    """A value will not do: `code` for machines, the text for people."""

    def __init__(self, code: str, text: str, path: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.path = path  # JSON pointer, from the value that was checked

    def at(self, path: str) -> BadValue:
        """Say where the value stands."""
        return BadValue(self.code, self.text, path + self.path)

    def refusal(self) -> Invalid:
        """Give the error that refuses the request."""
        text = f"{self.path.lstrip('/')}: {self.text}" if self.path else self.text
        return Invalid(text, code=self.code, details=[{"field": self.path, "issue": self.code}])


def identifier(value: Any, limit: int = MAX_ID_CHARS) -> str:
    """Check an id or a name."""
    if type(value) is not str:
        raise BadValue("invalid_type", "must be a string")
    if not 0 < len(value) <= limit:
        raise BadValue("invalid_id", f"must have 1 to {limit} characters")
    if value in (".", "..") or value[0] == " " or value[-1] == " ":
        raise BadValue("invalid_id", "must not be '.' or '..', or begin or end with a space")
    if not value.isprintable():  # the quick test
        if "\x00" in value:
            raise BadValue("control_character", "must not hold NUL")
        if _FORBIDDEN.search(value) is not None:
            raise BadValue("forbidden_character", "must not hold control, invisible or direction characters")
    return value


def text(value: Any, limit: int = MAX_TEXT_CHARS) -> str:
    """Check a text for people, such as a reason. Line breaks are welcome, NUL is not: PostgreSQL has none."""
    if type(value) is not str:
        raise BadValue("invalid_type", "must be a string")
    if len(value) > limit:
        raise BadValue("out_of_range", f"must have at most {limit} characters")
    if "\x00" in value:
        raise BadValue("control_character", "must not hold NUL")
    return value


def report(value: Any) -> str:
    """Check an error text or trace from a worker. NUL is replaced: an error must not be lost over it."""
    if type(value) is not str:
        raise BadValue("invalid_type", "must be a string")
    return value.replace("\x00", "\ufffd")


def token(value: Any) -> str:
    """Check a task token. What it names is for the engine to find out."""
    if type(value) is not str:
        raise BadValue("invalid_type", "must be a string")
    if len(value) > MAX_TOKEN_CHARS:
        raise BadValue("out_of_range", f"must have at most {MAX_TOKEN_CHARS} characters")
    return value


def anything(value: Any) -> Any:
    """Take a value as it is: somebody else checks it."""
    return value


def integer(value: Any, low: int = 0, high: int = MAX_INTEGER) -> int:
    """Check a whole number; true and 1.0 are none."""
    if type(value) is not int:
        raise BadValue("invalid_type", "must be an integer")
    if not low <= value <= high:
        raise BadValue("out_of_range", f"must be {low} to {high}")
    return value


def number(value: Any, low: float = 0.0, high: float = MAX_SECS) -> float:
    """Check a number; true is none."""
    if type(value) is not float and type(value) is not int:
        raise BadValue("invalid_type", "must be a number")
    if not low <= value <= high:  # NaN is not between, either
        raise BadValue("out_of_range", f"must be {low:g} to {high:g}")
    return float(value)


def boolean(value: Any) -> bool:
    """Check a truth value."""
    if type(value) is not bool:
        raise BadValue("invalid_type", "must be true or false")
    return value


def choice(value: Any, choices: tuple[str, ...], code: str = "invalid_value") -> str:
    """Check one of a few words."""
    if type(value) is not str:
        raise BadValue("invalid_type", "must be a string")
    if value not in choices:
        raise BadValue(code, f"must be one of {', '.join(choices)}")
    return value


def items(value: Any, limit: int) -> list[Any]:
    """Check an array, not what it holds."""
    if type(value) is not list:
        raise BadValue("invalid_type", "must be an array")
    if len(value) > limit:
        raise BadValue("too_many_items", f"must have at most {limit} items")
    return value


def members(value: Any) -> dict[str, Any]:
    """Check an object, not what it holds. An empty array counts as one: Lua writes its empty tables so."""
    if type(value) is dict:
        return value
    if value == [] and type(value) is list:
        return {}
    raise BadValue("invalid_type", "must be an object")


def payload(value: Any) -> str | None:
    """Turn opaque JSON into its text; null and nothing are None."""
    if value is None:
        return None
    written = jsontext.dumps(value)
    if len(written) * 4 > MAX_PAYLOAD_BYTES and len(written.encode()) > MAX_PAYLOAD_BYTES:
        raise BadValue("payload_too_large", f"must have at most {MAX_PAYLOAD_BYTES} bytes as JSON")
    return written


def attributes(value: Any) -> dict[str, Any]:
    """Check search attributes: flat, few, small."""
    given = members(value)
    if len(given) > MAX_ATTRIBUTES:
        raise BadValue("too_many_items", f"must have at most {MAX_ATTRIBUTES} attributes")
    total = 0
    for key, one in given.items():
        if _ATTRIBUTE_KEY.fullmatch(key) is None:
            raise BadValue("invalid_attribute", "names are a letter or _, then up to 63 of A-Z a-z 0-9 _ . : -")
        total += len(key) + _attribute_bytes(key, one)
    if total > MAX_ATTRIBUTES_BYTES:
        raise BadValue("payload_too_large", f"must have at most {MAX_ATTRIBUTES_BYTES} bytes in all")
    return given


def _attribute_bytes(key: str, value: Any) -> int:
    if isinstance(value, (dict, list)):
        raise BadValue("invalid_attribute", "must be a string, a number, true, false or null", f"/{key}")
    if isinstance(value, str) and "\x00" in value:
        raise BadValue("control_character", "must not hold NUL", f"/{key}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadValue("non_finite_number", "must be finite", f"/{key}")
    if isinstance(value, int) and not -MAX_LONG - 1 <= value <= MAX_LONG:
        raise BadValue("out_of_range", "must be an integer of at most 64 bits", f"/{key}")
    size = len(value.encode()) if isinstance(value, str) else len(str(value))
    if size > MAX_ATTRIBUTE_BYTES:
        raise BadValue("payload_too_large", f"must have at most {MAX_ATTRIBUTE_BYTES} bytes", f"/{key}")
    return size
