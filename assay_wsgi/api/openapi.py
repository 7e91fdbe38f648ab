"""The API described as OpenAPI 3.1, from what each route has declared (`contract.Operation`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask
from marshmallow import Schema
from werkzeug.routing import Rule

from ..auth.roles import Access
from ..auth.roles import roles_with
from . import jsonschemas
from .codes import CODES
from .codes import NOT_NOW
from .context import ENGINE
from .contract import Operation
from .fields import Body
from .fields import Checked
from .fields import ListQuery
from .fields import Query
from .fields import query_attributes
from .records import Record

Json = dict[str, Any]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
VARIABLE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_PROBLEM: Json = {
    "type": "object",
    "description": "Why a request was refused; the members of RFC 9457 among them.",
    "required": ["error", "code", "request_id", "details", "type", "title", "status", "detail"],
    "properties": {
        "error": {"type": "string", "description": "For people"},
        "code": {"type": "string", "enum": sorted(CODES), "description": "For machines"},
        "request_id": {"type": "string"},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "issue"],
                "properties": {
                    "field": {"type": "string", "description": "JSON pointer into the body, or a parameter"},
                    "issue": {"type": "string"},
                },
            },
        },
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_NAMES = {
    "workflow_id": ("The run's workflow id.", "order-7"),
    "activity_id": ("The activity's id.", "1"),
    "worker_id": ("The worker's id; it makes up its own.", "w-2"),
}
_OF_NAMES = ("invalid_id", "control_character", "forbidden_character")
_OF_BODIES = (
    "invalid_json", "invalid_unicode", "non_finite_number", "number_too_long", "duplicate_key", "too_deep",
    "payload_too_large", "invalid_type", "invalid_value", "invalid_attribute", "missing_field", "out_of_range",
    "too_many_items", *_OF_NAMES,
)  # fmt: skip
_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Who repeats a request under its key gets the first answer again, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


_TICKET: Json = {
    "name": "ticket",
    "in": "query",
    "required": False,
    "description": "From `POST /events/ticket`: stands for a credential, once, where no header can be sent.",
    "schema": {"type": "string"},
}


def describe(app: Flask) -> Json:
    """Describe all operations of an app; `servers` is for whoever knows where it is mounted."""
    plugin = MarshmallowPlugin(schema_name_resolver=_name)
    spec = APISpec(
        title="Assay Workflow Engine",
        version=app.extensions[ENGINE].version,
        openapi_version="3.1.0",
        plugins=[plugin],
        tags=[],
    )
    converter = plugin.converter
    assert converter is not None  # the spec has just made it
    converter.add_attribute_function(_checked)  # type: ignore[no-untyped-call]  # apispec has no hints there
    for name, schema in {"Problem": _PROBLEM, **jsonschemas.COMPONENTS}.items():
        spec.components.schema(name, schema)
    spec.components.security_scheme(
        "bearer", {"type": "http", "scheme": "bearer", "description": "An API key, or a token of the issuer."}
    )
    tags = set()
    for rule, operation, summary in operations(app):
        noun = rule.endpoint.partition(".")[0].removeprefix("assay_")
        tags.add(noun)
        described = {
            "operationId": rule.endpoint.removeprefix("assay_").replace(".", "_"),
            "summary": summary,
            "tags": [noun],
            "parameters": _parameters(converter, rule, operation),
            "responses": _responses(converter, rule, operation),
            "x-refuses": list(operation.refuses),
            "x-access": operation.access.value,
            "x-roles": roles_with(operation.access),
            **({} if operation.with_token is None else {"x-access-with-token": operation.with_token.value}),
            "security": [] if operation.access is Access.PUBLIC else [{"bearer": []}],
        }
        if operation.body is not None:
            described["requestBody"] = _request_body(converter, operation)
        spec.path(VARIABLE.sub(r"{\1}", rule.rule), operations={method_of(rule).lower(): described})
    found = spec.to_dict()
    found["tags"] = [{"name": name} for name in sorted(tags)]
    _require_members(converter, found["components"]["schemas"])
    return found


def operations(app: Flask) -> Iterator[tuple[Rule, Operation, str]]:
    """Give each route that has declared what it takes and gives, and its summary."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        operation = getattr(view, "operation", None)
        if operation is not None:
            yield rule, operation, (view.__doc__ or "").strip().partition("\n")[0]


def method_of(rule: Rule) -> str:
    """Give the one method that a route is for; HEAD and OPTIONS come by themselves."""
    (method,) = [method for method in _METHODS if method in (rule.methods or ())]
    return method


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return str(kind.__name__)


def _checked(_: OpenAPIConverter, field: Any, ret: Json, **__: Any) -> Json:
    """Describe a field of ours. For apispec, which calls it as a method of its converter."""
    if not isinstance(field, Checked):
        return {}
    schema = {**jsonschemas.schema_of(field)}
    if ret.get("default", 0) is None:  # as if it were not there
        del ret["default"]
    words = [ret.get("description"), schema.pop("description", None)]
    told = {"description": " ".join(filter(None, words))} if any(words) else {}
    if not field.allow_none or isinstance(field.parent, (Query, ListQuery)):
        return {**schema, **told}
    kind = schema.get("type")
    if kind is not None and "enum" not in schema and "not" not in schema:
        return {**schema, "type": [kind, "null"], **told}
    return {"anyOf": [schema, {"type": "null"}], **told} if schema else told


def _parameters(converter: OpenAPIConverter, rule: Rule, operation: Operation) -> list[Json]:
    found: list[Json] = [
        {
            "name": name, "in": "path", "required": True, "description": says, "example": example,
            "schema": jsonschemas.name(),
        }
        for name in VARIABLE.findall(rule.rule)
        for says, example in [{**_NAMES, **operation.names}[name]]
    ]  # fmt: skip
    if operation.query is not None:
        for name, field in operation.query.fields.items():
            parameter = {"name": field.data_key or name, "in": "query", "required": field.required}
            schema = converter.field2property(field)
            parameter["description"] = schema.pop("description")
            if name in operation.asks:
                parameter["example"] = operation.asks[name]
            if isinstance(field, Checked) and field.check is query_attributes:  # JSON in a query
                found.append({**parameter, "content": {"application/json": {"schema": schema}}})
            else:
                found.append({**parameter, "schema": schema})
    if operation.by_ticket:
        found.append(_TICKET)
    if operation.keyed:
        found.append(_IDEMPOTENCY_KEY)
    return found


def _request_body(converter: OpenAPIConverter, operation: Operation) -> Json:
    body = operation.body
    assert body is not None  # the caller has looked
    schema = _reference(converter, body)
    required = bool(_at_least_one(type(body))) or any(field.required for field in body.fields.values())
    if not required:  # assay's Lua worker writes an empty object so
        schema = {"anyOf": [schema, {"type": "null"}, {"type": "array", "maxItems": 0}]}
    content = {"schema": schema} if operation.example is None else {"schema": schema, "example": operation.example}
    return {"required": required, "content": {"application/json": content}}


def _reference(converter: OpenAPIConverter, schema: Schema | type[Schema]) -> Json:
    """Put a schema among the components, once, and give what refers to it."""
    found: Json = converter.resolve_nested_schema(schema)  # type: ignore[no-untyped-call]  # apispec has no hints there
    return found


def _responses(converter: OpenAPIConverter, rule: Rule, operation: Operation) -> Json:
    answer: Json = {"description": _title(operation.status)}
    if operation.returns is not None:
        schema = _reference(converter, operation.returns)
        if operation.many:
            schema = {"type": "array", "items": schema}
        if operation.instead:
            schema = {"anyOf": [schema, *({"const": value} for value in operation.instead)]}
        answer["content"] = {operation.media: {"schema": schema}}
    if operation.query is not None and operation.query.fields.keys() & {"cursor", "after_seq"}:
        link = {"description": 'The next page, where there is one: rel="next"', "schema": {"type": "string"}}
        answer["headers"] = {"Link": link}
    found: Json = {}
    for status in (operation.status, *operation.also):
        found[str(status)] = {**answer, "description": _title(status)}
    if operation.tagged:
        found["304"] = {"description": "What If-None-Match names is still the answer"}
    codes = refusals(rule, operation)
    for status in sorted({CODES[code].status for code in codes}):
        found.setdefault(str(status), _problem(status, [code for code in codes if CODES[code].status == status]))
    return found


def refusals(rule: Rule, operation: Operation) -> list[str]:
    """Give the codes of all refusals that a route may answer: its own, and those that its declaration brings."""
    found = {"internal", *operation.refuses}
    if "/api/" in rule.rule:
        found |= NOT_NOW.keys()
    found.add("host_not_allowed")
    if method_of(rule) != "GET":
        found.add("cross_site")
    if operation.access is not Access.PUBLIC:
        found |= {"unauthorized", "rate_limited", "insufficient_role"}
        if operation.namespace_in_path or _names_namespace(operation):
            found.add("namespace_not_found")
    if rule.arguments:
        found |= {"invalid_path", *_OF_NAMES}
    if operation.query is not None:
        found |= {"invalid_filter", "out_of_range", *_OF_NAMES}
    if operation.keyed:
        found |= {"invalid_idempotency_key", "idempotency_key_reused"}
    if operation.body is not None:
        found |= {"bad_request", "unsupported_media_type", *_OF_BODIES}
    return sorted(found)


def _names_namespace(operation: Operation) -> bool:
    return any(schema is not None and "namespace" in schema.fields for schema in (operation.body, operation.query))


def _title(status: int) -> str:
    return HTTPStatus(status).phrase


def _problem(status: int, codes: list[str]) -> Json:
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    content = {"application/json": schema, "application/problem+json": schema}
    return {"description": f"{_title(status)}: {', '.join(codes)}", "content": content}


def _at_least_one(kind: type[Schema]) -> tuple[str, ...]:
    return kind.at_least_one if issubclass(kind, Body) else ()


def _require_members(converter: OpenAPIConverter, schemas: Json) -> None:
    """Say which members must be there, beyond what marshmallow knows: all of an answer, one of several in a body."""
    for (kind, *_), name in converter.refs.items():
        if _at_least_one(kind):
            schemas[name]["anyOf"] = [
                {"required": [one], "properties": {one: {"type": "string"}}} for one in _at_least_one(kind)
            ]
        if issubclass(kind, Record):
            always = sorted(schemas[name]["properties"].keys() - kind.sometimes)
            if always:
                schemas[name]["required"] = always
            schemas[name]["description"] = (kind.__doc__ or "").strip()
            schemas[name].pop("additionalProperties", None)
