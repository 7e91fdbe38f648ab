"""From the types that user code has to what JSON has."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from collections import deque
from collections.abc import Mapping
from collections.abc import Set
from typing import Any


def to_json(value: Any) -> Any:
    """Convert what the JSON encoder does not know. Raises TypeError for the rest.

    Times are ISO 8601, spans of time seconds, bytes base64, sets lists in an order that is always the same.
    """
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
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, Set):
        return _in_order(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, deque):
        return list(value)
    if not isinstance(value, type):
        if hasattr(value, "model_dump_json"):  # pydantic, which is not imported here
            return json.loads(value.model_dump_json(by_alias=True))
        if hasattr(value, "__fields__") and hasattr(value, "parse_obj"):  # pydantic 1
            return json.loads(value.json(by_alias=True))
    raise TypeError(
        f"JSON cannot hold this {type(value).__qualname__}: {value!r:.100}; it holds dataclasses, dicts, lists, "
        "strings, numbers and the like"
    )


def with_plain_keys(value: Any) -> Any:
    """Convert what the JSON encoder does not know in keys, such as UUIDs. Slow: for where the encoder gave up."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        return {_key(key): with_plain_keys(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_plain_keys(item) for item in value]
    return with_plain_keys(to_json(value))


def json_text(value: Any) -> str:
    """Write a value so that the same value is always the same text, and another one another text."""
    return json.dumps(value, default=to_json, sort_keys=True)


def _key(key: Any) -> Any:
    plain = key if key is None or isinstance(key, (str, int, float)) else to_json(key)
    if plain is None or isinstance(plain, (str, int, float)):
        return plain
    raise TypeError(f"a member's name must be a string, a number or the like, not {key!r:.100}")


def _in_order(items: Set[Any]) -> list[Any]:
    # Strings' hashes, and with them a set's own order, are another in each process.
    if all(isinstance(item, str) for item in items) or all(isinstance(item, (int, float)) for item in items):
        return sorted(items)
    return sorted(items, key=json_text)
