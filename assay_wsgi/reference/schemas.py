"""JSON schemas in words: `integer, 1 to 1,000` and its like."""

from __future__ import annotations

import json
from typing import Any

from .markdown import code

Json = dict[str, Any]

_ANY = 10**11  # a greater bound only keeps what is stored in its columns


def told(schema: Json) -> str:
    """Say what a schema lets pass, null aside."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "name" if name == "Name" else f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        others = [one for one in schema["anyOf"] if one != {"type": "null"} and one.get("maxItems") != 0]
        return " or ".join(told(one) for one in others)
    if "enum" in schema:
        *most, last = [code(one) for one in schema["enum"]]
        return f"{', '.join(most)} or {last}"
    return _of_type(schema)


def default(value: Any) -> str:
    """Say what a missing member is taken for."""
    return code(json.dumps(list(value) if isinstance(value, tuple) else value))


def _of_type(schema: Json) -> str:
    kinds = schema.get("type", "any JSON")
    kind = " or ".join(one for one in kinds if one != "null") if isinstance(kinds, list) else kinds
    if "minimum" in schema and schema["maximum"] > _ANY:
        return kind if schema["minimum"] else f"{kind}, not negative"
    if "minimum" in schema:
        return f"{kind}, {_number(schema['minimum'])} to {_number(schema['maximum'])}"
    if "maxLength" in schema and kind == "string":
        return f"{kind} of at most {schema['maxLength']:,} characters"
    if "maxItems" in schema:
        items = f" of {told(schema['items'])}" if "items" in schema else ""
        return f"{kind}{items}, at most {schema['maxItems']:,}"
    if "maxProperties" in schema:
        return f"{kind} of at most {schema['maxProperties']:,} members"
    if kind == "array" and schema.get("items"):
        return f"{kind} of {told(schema['items'])}"
    return kind


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"
