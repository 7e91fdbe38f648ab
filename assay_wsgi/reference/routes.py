"""docs/reference/routes.md: every route, read off the app's own OpenAPI document."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from ..api import openapi
from ..api.codes import CODES
from ..app import create_app
from ..auth.roles import NEEDS_NO_ROLE
from ..auth.roles import ONLY_EVERYWHERE
from ..auth.roles import Access
from ..auth.roles import roles_with
from ..engine import Engine
from ..settings import Settings
from .markdown import anchor
from .markdown import code
from .markdown import head
from .markdown import table
from .schemas import default
from .schemas import told

Json = dict[str, Any]

HOST = "http://127.0.0.1:8080"
# Tag -> heading, in the order of the page; tags that are not here come last, under their own name.
CHAPTERS = {
    "workflows": "Runs",
    "activities": "Activities",
    "tasks": "Tasks, one by one",
    "workers": "Workers",
    "schedules": "Schedules",
    "namespaces": "Namespaces and queues",
    "tickets": "Tickets for browsers",
    "api_keys": "API keys",
    "audit": "The audit log",
    "feeds": "The feed",
    "sockets": "The feed as a WebSocket",
    "service": "The service",
    "probes": "Probes",
}
_INTRO = """
The same in OpenAPI 3.1: `GET /api/v1/openapi.json`.
The examples of this page go to a service that you may start in a clone of the project.
They show what is sent; one that comes too early, or names an activity that is not there, is refused.

<!-- runs in the background -->
```bash
make serve
```

## What holds for every route

- Bodies and answers are JSON. Where a body has no required field, an empty body, `null` and `[]` count as `{}`.
- Members of a body that are unknown are ignored. Parameters of a list that are unknown are refused.
- null counts as absent, unless the field is required.
- Times are seconds since the epoch; durations are seconds.
- A *name* has 1 to 255 characters, without control or invisible ones; it is not `.` or `..`, and neither begins nor ends with a space. In a path, percent-encode it; a slash is `%2F`.
- What was answered is on disk.
- Routes that change something take an `Idempotency-Key` header where this page says so: a request that is repeated under its key gets the first answer again, for 24 hours.
- Lists come in pages; the `Link` header leads to the next. Answers to GET carry an `ETag`, and `If-None-Match` is answered 304.
- A refusal has one shape and a `code`: see [Errors](errors.md). Any route may answer 500 and 503; any body may be refused with 400, 413, 415 or 422, any parameter with 422. Below stand the codes that a route has of its own.
- Who may call it is said with each route, and in one table in [Roles](roles.md). Where callers are asked who they are, a key or a token goes as `Authorization: Bearer`; the examples go to a service that asks nobody. What a caller may not see is not there: 404.

"""


def rendered() -> str:
    """The text of the page."""
    document = described()
    chapters: dict[str, list[tuple[str, str, Json]]] = {tag: [] for tag in CHAPTERS}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            chapters.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    lines = [head("Routes", "the app's OpenAPI document (assay_wsgi/api)"), "\n"]
    for tag, found in chapters.items():
        lines.append(f"- [{_title(tag)}](#{anchor(_title(tag))})\n")
        lines += [f"  - [{code(f'{method} {path}')}](#{anchor(f'{method} {path}')})\n" for method, path, _ in found]
    lines += ["- [What is answered](#what-is-answered)\n", _INTRO.rstrip("\n"), "\n"]
    for tag, found in chapters.items():
        lines.append(f"\n## {_title(tag)}\n")
        for method, path, operation in found:
            lines += [f"\n### {method} {path}\n\n", *_route(document, method, path, operation)]
    lines += ["\n## What is answered\n\nA member in italics is there only sometimes.\n", *_records(document)]
    return "".join(lines)


def described() -> Json:
    """Describe the API of a whole service."""
    engine = Engine.open("sqlite://:memory:")
    try:
        return openapi.describe(create_app(Settings(), engine))
    finally:
        engine.close()


def _title(tag: str) -> str:
    return CHAPTERS.get(tag, tag.replace("_", " ").capitalize())


def _route(document: Json, method: str, path: str, operation: Json) -> Iterator[str]:
    yield f"{operation['summary']}\n\n"
    called = _curl(method, path, operation)
    if _is_stream(operation):  # curl's exit code for a time-out
        yield f"<!-- fails with 28 -->\n```bash\n{called.replace('curl -s', 'curl -sN -m 1', 1)}\n```\n\n"
    else:
        yield f"<!-- runs -->\n```bash\n{called}\n```\n\n"
    parameters = [_parameter(one) for one in operation["parameters"] if one["in"] != "header"]
    if parameters:
        yield table(("parameter", "in", "type", "default", ""), parameters) + "\n"
    if "requestBody" in operation:
        yield from _body(document, operation["requestBody"])
    yield f"- Answers {_answers(operation['responses'])}.\n"
    yield f"- For {_whom(operation)}.\n"
    if operation["x-refuses"]:
        own = [f"{CODES[name].status} {_linked(name)}" for name in operation["x-refuses"]]
        yield f"- Refuses with {', '.join(own)}.\n"
    if any(one["in"] == "header" for one in operation["parameters"]):
        yield "- Takes an `Idempotency-Key`.\n"


def _whom(operation: Json) -> str:
    access = Access(operation["x-access"])
    if access in NEEDS_NO_ROLE:
        return "everybody" if access is Access.PUBLIC else "every role"
    names = " and ".join(code(role) for role in operation["x-roles"])
    everywhere = " of all namespaces" if access in ONLY_EVERYWHERE else ""
    with_token = operation.get("x-access-with-token")
    others = (
        "" if with_token is None else f"; with a `task_token` {' and '.join(map(code, roles_with(Access(with_token))))}"
    )
    return f"{names}{everywhere}{others}"


def _is_stream(operation: Json) -> bool:
    return "text/event-stream" in operation["responses"].get("200", {}).get("content", {})


def _linked(name: str) -> str:
    return f"[{code(name)}](errors.md)"


def _curl(method: str, path: str, operation: Json) -> str:
    asks = {}
    for parameter in operation["parameters"]:
        if "example" in parameter:
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
            else:
                asks[parameter["name"]] = parameter["example"]
    url = HOST + path
    words = ["curl", "-s", shlex.quote(f"{url}?{urlencode(asks)}") if asks else url]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if "example" in body:
        return f"{' '.join(words)} -H 'Content-Type: application/json' \\\n    -d {shlex.quote(json.dumps(body['example']))}"
    return " ".join(words if method == "GET" else [*words[:2], "-X", method, *words[2:]])


def _parameter(parameter: Json) -> tuple[str, ...]:
    schema = parameter.get("schema") or parameter["content"]["application/json"]["schema"]
    return (
        code(parameter["name"]), parameter["in"], told(schema), _default(schema, required=parameter["required"]),
        parameter["description"],
    )  # fmt: skip


def _default(schema: Json, *, required: bool) -> str:
    if required:
        return "required"
    return default(schema["default"]) if "default" in schema else ""


def _body(document: Json, body: Json) -> Iterator[str]:
    schema = body["content"]["application/json"]["schema"]
    (reference,) = [one["$ref"] for one in schema.get("anyOf", [schema]) if "$ref" in one]
    component = document["components"]["schemas"][reference.rpartition("/")[2]]
    yield table(("field", "type", "default", ""), _fields(component)) + "\n"
    if "anyOf" in component:
        names = " or ".join(code(name) for one in component["anyOf"] for name in one["required"])
        yield f"{names} must be there.\n\n"


def _fields(component: Json) -> Iterator[tuple[str, ...]]:
    for name, schema in component["properties"].items():
        missing = _default(schema, required=name in component.get("required", []))
        kind = "JSON" if "Any JSON" in schema.get("description", "") else told(schema)
        yield code(name), kind, missing, schema.get("description", "")


def _answers(responses: Json) -> str:
    if "204" in responses:
        return "204 No Content"
    good = {status: answer for status, answer in responses.items() if "content" in answer and status < "400"}
    *_, answer = good.values()
    ((media, described),) = answer["content"].items()
    schema = described["schema"]
    if media != "application/json":
        return f"{HTTPStatus.OK:d} {HTTPStatus.OK.phrase}: {code(media)}, each event {told(schema)}"
    also = [value for one in schema.get("anyOf", []) if "const" in one for value in [one["const"]]]
    shown = schema["anyOf"][0] if also else schema
    what = f"an array of {told(shown['items'])}" if shown.get("type") == "array" else told(shown)
    instead = "".join(f", or {code(json.dumps(value))} where there is nothing" for value in also)
    statuses = [*good, *(["503"] if _is_good(responses.get("503", {}), schema) else [])]
    return f"{' or '.join(f'{status} {HTTPStatus(int(status)).phrase}' for status in statuses)}: {what}{instead}"


def _is_good(answer: Json, schema: Json) -> bool:
    return bool(answer.get("content", {}).get("application/json", {}).get("schema") == schema)


def _records(document: Json) -> Iterator[str]:
    inline = {
        reference.rpartition("/")[2]
        for methods in document["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
        for schema in [operation["requestBody"]["content"]["application/json"]["schema"]]
        for one in schema.get("anyOf", [schema])
        if (reference := one.get("$ref")) is not None
    }
    for name, component in document["components"]["schemas"].items():
        if name in inline or name in ("Name", "Problem"):
            continue
        yield f"\n### {name}\n\n"
        if component.get("description"):
            yield f"{component['description']}\n\n"
        required = component.get("required", [])
        yield table(
            ("member", "type", ""),
            (
                (
                    code(member) if member in required else f"*{code(member)}*",
                    told(schema),
                    schema.get("description", ""),
                )
                for member, schema in component["properties"].items()
            ),
        )
