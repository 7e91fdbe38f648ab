"""The tables of routes, sent to a real service; and the proof that they leave no route and no code out."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask
from werkzeug.routing import Rule

from assay_wsgi.api import openapi
from assay_wsgi.api.codes import CODES
from assay_wsgi.api.contract import Operation
from tests.contract.refusals import REFUSALS
from tests.contract.refusals import Refusal
from tests.contract.service import Caller
from tests.contract.shapes import PROBLEM
from tests.contract.shapes import refused
from tests.contract.successes import SUCCESSES
from tests.contract.successes import Success

# Codes of requests that are refused although nothing is wrong with them, or that stand for what has no code yet.
NOT_BY_A_REQUEST = {
    "bad_request": "stands for HTTP errors that have no code of their own",
    "conflict": "stands for conflicts that have no code of their own",
    "invalid": "stands for bad requests that have no code of their own",
    "internal": "never",
    "host_not_allowed": "takes a page that makes a browser ask: tests/api/test_browsers.py",
    "cross_site": "takes a page that makes a browser ask: tests/api/test_browsers.py",
    "rate_limited": "takes a service that asks who calls: tests/auth",
    "last_admin_key": "takes a database without other keys: tests/auth",
    "unauthorized": "takes a service that asks who calls: tests/auth",
    "insufficient_role": "takes a service that asks who calls: tests/auth",
    "issuer_unavailable": "takes an issuer that is away: tests/auth",
    "schedule_limit": "takes a thousand schedules",
    "schedule_unreadable": "takes a host that lacks a zone",
    "search_too_slow": "takes millions of runs",
    "signal_limit": "takes ten thousand signals",
    "outcome_unknown": "takes a database that dies in a commit",
    "schema_mismatch": "takes a database of another build",
    "overloaded": "takes more requests than one client has",
    "too_many_streams": "takes as many clients as a process has places",
    "store_busy": "takes rows that somebody else holds",
    "store_unavailable": "takes a database that is away",
}
# Codes that no route of its own gives.
BY_ANY_ROUTE = {"method_not_allowed", "unknown_route"}


def routes(app: Flask) -> Iterator[tuple[str, Rule]]:
    """Every method and rule that the service answers."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, rule


def operation(app: Flask, rule: Rule) -> Operation | None:
    found: Operation | None = getattr(app.view_functions[rule.endpoint], "operation", None)
    return found


def can_refuse(app: Flask, rule: Rule) -> bool:
    declared = operation(app, rule)
    return declared is not None and bool(rule.arguments or declared.body or declared.query)


def reached(app: Flask, answer: requests.Response) -> tuple[str, str]:
    """The method and rule that a request was for."""
    request = answer.request
    path = urlsplit(str(request.url)).path
    rule, _ = app.url_map.bind("").match(path, method=request.method, return_rule=True)
    return str(request.method), rule.rule


def test_every_route_has_a_case_in_which_it_succeeds(app: Flask) -> None:
    shown = {(case.method, case.rule) for case in SUCCESSES}

    assert {(method, rule.rule) for method, rule in routes(app)} == shown


def test_every_route_that_can_refuse_has_a_case_in_which_it_does(app: Flask) -> None:
    shown = {(case.method, case.rule) for case in REFUSALS}

    assert {(method, rule.rule) for method, rule in routes(app) if can_refuse(app, rule)} == shown


def test_every_declared_success_status_has_a_case(app: Flask) -> None:
    shown = {(case.method, case.rule, case.status) for case in SUCCESSES}
    declared = {
        (method, rule.rule, found.status) for method, rule in routes(app) if (found := operation(app, rule)) is not None
    }

    assert declared <= shown


def test_every_code_has_a_case_or_a_reason_to_have_none() -> None:
    shown = {case.code for case in REFUSALS} | {case.says["code"] for case in SUCCESSES if "code" in case.says}

    assert shown | BY_ANY_ROUTE | set(NOT_BY_A_REQUEST) == set(CODES)
    assert shown.isdisjoint(NOT_BY_A_REQUEST)


def test_every_code_that_a_route_declares_has_a_case_and_every_case_is_declared(app: Flask) -> None:
    shown = {(case.method, case.rule, case.code) for case in REFUSALS}
    own, allowed = set(), set()
    for method, rule in routes(app):
        declared = operation(app, rule)
        if declared is not None:
            own |= {(method, rule.rule, code) for code in declared.refuses if code not in NOT_BY_A_REQUEST}
            allowed |= {(method, rule.rule, code) for code in openapi.refusals(rule, declared)}

    assert shown - allowed == set()
    assert own - shown == set()


@pytest.mark.parametrize("case", SUCCESSES, ids=str)
def test_a_route_answers_what_it_promises(case: Success, caller: Caller, app: Flask) -> None:
    answer = case.send(caller)

    case.check(answer)
    assert reached(app, answer) == (case.method, case.rule)


@pytest.mark.parametrize("case", [case for case in SUCCESSES if case.method == "POST"], ids=str)
def test_members_that_nobody_knows_change_no_answer(case: Success, caller: Caller) -> None:
    caller.adds = {"surprise": {"of": ["a", "later", "client"]}}

    case.check(case.send(caller))


@pytest.mark.parametrize("case", REFUSALS, ids=str)
def test_a_route_refuses_in_the_one_shape(case: Refusal, caller: Caller, app: Flask) -> None:
    answer = case.send(caller)

    refused(answer, case.status, case.code)
    assert answer.headers["Content-Type"] == "application/json"
    assert reached(app, answer) == (case.method, case.rule)


@pytest.mark.parametrize("case", {(case.method, case.rule): case for case in REFUSALS}.values(), ids=str)
def test_whoever_asks_for_problems_gets_problems(case: Refusal, caller: Caller) -> None:
    caller.headers["Accept"] = f"{PROBLEM}, application/json;q=0.5"

    answer = case.send(caller)

    refused(answer, case.status, case.code)
    assert answer.headers["Content-Type"] == PROBLEM


def test_a_route_that_is_not_there_is_not_found(caller: Caller) -> None:
    for path in ("/nowhere", "/workflows/", "/workflows/a/b/c/d", "//workflows"):
        refused(caller.get(path), 404, "unknown_route")


def test_every_route_refuses_other_methods_and_names_its_own(caller: Caller, app: Flask) -> None:
    answered: dict[str, set[str]] = {}
    for method, rule in routes(app):
        answered.setdefault(_path(rule), set()).add(method)

    for path, methods in answered.items():
        answer = caller.send("PUT", path, root=True)
        refused(answer, 405, "method_not_allowed")
        named = set(answer.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"}
        assert named >= methods


def test_every_route_that_reads_a_body_refuses_what_is_no_json_object(caller: Caller, app: Flask) -> None:
    for method, path in _reading_bodies(app):
        as_json = {"Content-Type": "application/json"}
        refused(caller.send(method, path, root=True, data=b"{", headers=as_json), 400, "invalid_json")
        refused(caller.send(method, path, root=True, data=b"[1]", headers=as_json), 422, "invalid_type")
        refused(caller.send(method, path, root=True, data=b"{}"), 415, "unsupported_media_type")


def test_every_route_that_reads_a_body_refuses_a_long_one_before_it_has_come(caller: Caller, app: Flask) -> None:
    for method, path in _reading_bodies(app):
        connection = HTTPConnection(urlsplit(caller.service.root).netloc, timeout=60)
        connection.putrequest(method, path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(4 * 1024 * 1024 + 1))
        connection.endheaders()

        answer = connection.getresponse()

        assert answer.status == 413
        assert b'"code":"payload_too_large"' in answer.read()
        connection.close()


@pytest.mark.parametrize("nothing", [b"", b"[]", b"null", b"{}"])
def test_every_route_reads_an_empty_list_null_and_nothing_as_an_empty_object(
    nothing: bytes, caller: Caller, app: Flask
) -> None:
    """The Lua worker of assay 0.1.8 sends `[]` for every body that has no members."""
    for method, path in _reading_bodies(app):
        answer = caller.send(method, path, root=True, data=nothing, headers={"Content-Type": "application/json"})

        body = answer.json()
        # The body was read: what is refused now is the missing thing, or a missing member.
        assert body.get("code") in (None, "not_found", "missing_field", "lease_lost"), (method, path, body)
        assert "must be a JSON object" not in body.get("error", "")


def _path(rule: Rule) -> str:
    """A path of this rule, to things that are not there."""
    _, path = rule.build(dict.fromkeys(rule.arguments, "999999999")) or ("", rule.rule)
    return path.split("|")[-1]


def _reading_bodies(app: Flask) -> list[tuple[str, str]]:
    found: list[tuple[str, Any]] = [(method, rule) for method, rule in routes(app)]
    return [
        (method, _path(rule))
        for method, rule in found
        if (declared := operation(app, rule)) is not None and declared.body is not None
    ]
