"""The filter language: what is read, and what is refused at which character."""

from __future__ import annotations

import random
from typing import Any

import pytest

from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.filters import FIELDS
from assay_wsgi.domain.filters import NEWEST_FIRST
from assay_wsgi.domain.filters import All
from assay_wsgi.domain.filters import Either
from assay_wsgi.domain.filters import Order
from assay_wsgi.domain.filters import Test as Asked
from assay_wsgi.domain.filters import parse
from assay_wsgi.domain.filters import search_of
from assay_wsgi.domain.filters.terms import attribute
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.reference.filters import EXAMPLES

N = attribute("n")
TEN = 1_700_000_010.0


def equal(value: Any, *, turned: bool = False) -> Asked:
    return Asked(N, "=", (value,), turned)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", All()),
        ("  \t\n", All()),
        ("n = 1", equal(1)),
        ("n=1.50", equal(1.5)),
        ("n = -.5e1", equal(-5.0)),
        ("n = 'it''s'", equal("it's")),
        ("n = ''", equal("")),
        ("n = TRUE", equal(True)),
        ("`n` = false", equal(False)),
        ('"n" = 1', equal(1)),
        ("n <= 1", Asked(N, "<=", (1,))),
        ("n IN (1, 'a')", Asked(N, "=", (1, "a"))),
        ("n starts_with 'a'", Asked(N, "starts", ("a",))),
        ("n IS NULL", Asked(N, "has", turned=True)),
        ("n is not null", Asked(N, "has")),
        ("n != 1", All((Asked(N, "has"), equal(1, turned=True)))),
        ("n <> 1", All((Asked(N, "has"), equal(1, turned=True)))),
        ("n NOT IN (1)", All((Asked(N, "has"), equal(1, turned=True)))),
        ("n BETWEEN 1 AND 2", All((Asked(N, ">=", (1,)), Asked(N, "<=", (2,))))),
        ("NOT n = 1", equal(1, turned=True)),
        ("not NOT n = 1", equal(1)),
        ("n = 1 AND n = 2 AND (n = 3 AND n = 4)", All((equal(1), equal(2), equal(3), equal(4)))),
        ("n = 1 OR n = 2 AND n = 3", Either((equal(1), All((equal(2), equal(3)))))),
        ("NOT n = 1 OR n = 2", Either((equal(1, turned=True), equal(2)))),
        ("NOT (n = 1 OR n = 2)", All((equal(1, turned=True), equal(2, turned=True)))),
        ("(((n = 1)))", equal(1)),
        ("`a``b ` = 1", Asked(attribute("a`b "), "=", (1,))),
        ('"a""b" = 1', Asked(attribute('a"b'), "=", (1,))),
        ("`Status` = 1", Asked(attribute("Status"), "=", (1,))),
        ("`AND` = 1", Asked(attribute("AND"), "=", (1,))),
        ("a.b-c:d_1 = 1", Asked(attribute("a.b-c:d_1"), "=", (1,))),
        ("Status = 'WAITING'", Asked(FIELDS["Status"], "=", ("WAITING",))),
        ("StartTime > 5", Asked(FIELDS["StartTime"], ">", (5,))),
        ("StartTime > '2023-11-14T22:13:30Z'", Asked(FIELDS["StartTime"], ">", (TEN,))),
        ("StartTime > '2023-11-15T00:13:30.0+02:00'", Asked(FIELDS["StartTime"], ">", (TEN,))),
        ("StartTime > '1970-01-02'", Asked(FIELDS["StartTime"], ">", (86400.0,))),
        ("ExecutionDuration > '1h30m'", Asked(FIELDS["ExecutionDuration"], ">", (5400.0,))),
        ("ExecutionDuration > '1.5s'", Asked(FIELDS["ExecutionDuration"], ">", (1.5,))),
        ("ExecutionDuration > 3", Asked(FIELDS["ExecutionDuration"], ">", (3,))),
        ("Paused = true", Asked(FIELDS["Paused"], "=", (True,))),
        ("n = 9223372036854775807", equal(2**63 - 1)),
        ("n = -9223372036854775808", equal(-(2**63))),
    ],
)
def test_a_filter_says(text: str, says: Any) -> None:
    assert parse(text) == (says, NEWEST_FIRST)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("ORDER BY n", Order(N, descending=False)),
        ("n = 1 order by CloseTime desc", Order(FIELDS["CloseTime"], descending=True)),
        ("ORDER BY StartTime DESC", NEWEST_FIRST),
        ("ORDER BY StartTime ASC", Order(FIELDS["StartTime"], descending=False)),
        ("ORDER BY `ORDER` ASC", Order(attribute("ORDER"), descending=False)),
    ],
)
def test_runs_are_ordered_by(text: str, order: Order) -> None:
    assert parse(text)[1] == order


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("n", 2, "expected =, !=, <, <=, >, >=, IN, BETWEEN, STARTS_WITH or IS, found the end"),
        ("n =", 4, "expected a value, such as 'text', 5 or true, found the end"),
        ("n == 1", 4, "expected a value, such as 'text', 5 or true, found ="),
        ("n = x", 5, "found a name: a text stands in single quotes"),
        ('Status = "RUNNING"', 10, "expected one of 'PENDING', 'RUNNING'"),
        ("Status = 'DONE'", 10, "Status: expected one of 'PENDING', 'RUNNING', 'WAITING'"),
        ("Status = 5", 10, "Status: expected one of"),
        ("Status > 'A'", 8, "Status has no order: ask with =, != or IN"),
        ("Paused BETWEEN true AND true", 8, "Paused has no order"),
        ("Paused = 1", 10, "Paused: expected true or false, found 1"),
        ("WorkflowId = 7", 14, "WorkflowId: expected a text, such as 'order-7', found 7"),
        ("HistoryLength = '7'", 17, "HistoryLength: expected a number, such as 5, found '7'"),
        ("HistoryLength = true", 17, "expected a number"),
        ("HistoryLength STARTS_WITH '1'", 15, "HistoryLength is no text: STARTS_WITH is for texts"),
        ("n STARTS_WITH 1", 15, "expected a text, such as 'order-7', found 1"),
        ("StartTime > 'yesterday'", 13, "expected a time, such as '2026-11-25T14:00:00Z'"),
        ("StartTime > '2026-11-25T14:00:00'", 13, "expected a time"),
        ("StartTime > true", 13, "expected a time"),
        ("ExecutionDuration > '1x'", 21, "expected seconds, or a duration such as '90s'"),
        ("n = NULL", 5, "nothing equals NULL: ask with IS NULL or IS NOT NULL"),
        ("n IS 5", 6, "expected NULL, found 5"),
        ("n NOT = 1", 7, "expected =, !=, <"),
        ("n IN 1", 6, "expected (, found 1"),
        ("n IN ()", 7, "expected a value"),
        ("n IN (1", 8, "expected , or ), found the end"),
        ("n IN (1,)", 9, "expected a value"),
        ("n BETWEEN 1 OR 2", 13, "expected AND, found OR"),
        ("(n = 1", 7, "expected AND, OR or ), found the end"),
        ("n = 1)", 6, "expected AND, OR, ORDER BY or the end, found )"),
        ("n = 1 m = 2", 7, "expected AND, OR, ORDER BY or the end, found m"),
        ("n = 1 AND", 10, "expected a field, such as Status or a search attribute, found the end"),
        ("AND n = 1", 1, "expected a field"),
        ("= 1", 1, "expected a field"),
        ("5 = n", 1, "expected a field"),
        ("'n' = 1", 1, "expected a field"),
        ("status = 'x'", 1, "write Status, or `status` for a search attribute of that name"),
        ("workflow_type = 'x'", 1, "write WorkflowType, or `workflow_type`"),
        ("n = 'x", 5, "the quote ' is never closed"),
        ("`n = 1", 1, "the quote ` is never closed"),
        ("`` = 1", 1, "a name has at least one character"),
        ("ä = 1", 1, "a name with ä in it stands in backquotes"),
        ("n = 1; DROP TABLE workflows", 6, "';' means nothing here"),
        ("n = 1 -- x", 7, "'-' means nothing here"),
        ("n = 9223372036854775808", 5, "a whole number has at most 64 bits"),
        ("n = 1e999", 5, "beyond all numbers"),
        ("n = " + "1" * 50, 5, "a number has at most 40 characters"),
        ("n = 'a\x00'", 7, "must not hold NUL"),
        ("n = '\ud800'", 6, "half of a surrogate pair"),
        ("ORDER n", 7, "expected BY, found n"),
        ("ORDER BY", 9, "expected a field"),
        ("ORDER BY Status", 10, "Status has no order"),
        ("ORDER BY n, m", 11, "runs are ordered by one field"),
        ("ORDER BY n DESC AND", 17, "expected ASC, DESC or the end, found AND"),
        ("NOT " * 33 + "n = 1", 129, "at most 32 levels deep"),
        ("(" * 33 + "n = 1" + ")" * 33, 33, "at most 32 levels deep"),
        (" OR ".join(["n = 1"] * 201), 1805, "at most 200 values"),
        ("n IN (" + ", ".join("1" * 201) + ")", 607, "at most 200 values"),
        ("n = '" + "x" * 4092 + "'", 4097, "at most 4096 characters"),
        ("`" + "x" * 256 + "` = 1", 1, "a name has at most 255 characters"),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(text: str, position: int, says: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse(text)

    assert refusal.value.code == "invalid_filter"
    assert says in refusal.value.message
    assert refusal.value.message.startswith(f"q: at character {position}: ")
    assert refusal.value.members == {"details": [{"field": "q", "issue": "invalid_filter", "position": position}]}
    assert len(refusal.value.message) < 300


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_reference_page_are_filters(text: str) -> None:
    parse(text)


def test_no_text_whatever_is_anything_but_a_filter_or_refused() -> None:
    chance = random.Random(11)
    scraps = [
        *"()'`\",=<>!.-+e% \n\\;ä\x00",
        "NOT",
        "AND",
        "IN (",
        "'x'",
        "1",
        "Status",
        "n",
        "ORDER BY",
        "IS NULL",
        "<=",
        "NULL",
    ]
    for _ in range(3000):
        text = "".join(chance.choice(scraps) + chance.choice(("", " ")) for _ in range(chance.randrange(12)))
        try:
            parse(text)
        except Invalid as refusal:
            position = refusal.members["details"][0]["position"]
            assert 1 <= position <= len(text) + 1, text


def test_the_filters_of_a_list_and_its_q_hold_together() -> None:
    search = search_of(ListFilter(status="FAILED", search_attrs={"n": 1}, closed_after=5.0, q="n = 2 OR n = 3"))

    assert search.condition == All(
        (
            Asked(FIELDS["Status"], "=", ("FAILED",)),
            Asked(FIELDS["CloseTime"], ">", (5.0,)),
            equal(1),
            Either((equal(2), equal(3))),
        )
    )


@pytest.mark.parametrize(
    "wanted", [{"status": "DONE"}, {"q": "x"}, {"q": "ORDER BY n", "offset": 1}], ids=lambda wanted: str(wanted)
)
def test_a_search_that_cannot_be_meant_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        search_of(ListFilter(**wanted))

    assert refusal.value.code == "invalid_filter"
