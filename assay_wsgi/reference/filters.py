"""docs/reference/filters.md: the filter language, its fields read off `domain/filters`."""

from __future__ import annotations

from ..domain.filters import FIELDS
from ..domain.filters import MAX_CHARS
from ..domain.filters import Field
from ..domain.filters import grammar
from .markdown import code
from .markdown import head
from .markdown import table

# A filter -> what it finds. A test reads each of them.
EXAMPLES = {
    "Status = 'FAILED' AND WorkflowType = 'Checkout'": "what has failed of one type",
    "env = 'prod' AND amount >= 100": "by search attributes, which are not declared anywhere",
    "Status IN ('PENDING', 'RUNNING') AND StartTime < '2026-11-25T12:00:00Z'": "what is open since before noon",
    "WorkflowId STARTS_WITH 'order-2026-' AND NOT (env = 'test' OR env = 'dev')": "by the beginning of the id",
    "CloseTime BETWEEN '2026-11-24' AND '2026-11-25' ORDER BY CloseTime DESC": "what ended on a day, the last first",
    "ExecutionDuration > '1h30m' ORDER BY ExecutionDuration DESC": "what took long, the longest first",
    "Status = 'WAITING' AND customer IS NOT NULL": "what waits for a signal and has a customer",
    "`order.no` = 7 AND `it''s odd` != true": "names with other characters than letters, digits and `_ . : -`",
    "TaskFailing = true": "runs whose code fails, and that stay open",
    "ParentId = 'order-7' AND CloseReason != 'completed'": "children that did not end well",
}

_INTRO = f"""
A filter says which runs are meant: in `q` of `GET /workflows` and `GET /workflows/count`, in `assay workflow list --query` and `count --query`, and in the SDK's `client.list(q=...)` and `client.count(q=...)`.
It holds together with the other filters of the request. It has at most {MAX_CHARS:,} characters, {grammar.MAX_VALUES} values and {grammar.MAX_DEPTH} levels of brackets.
What a run is found by is what was committed last: there is no delay between a change and its being found.
[How to find runs](../how-to/find-runs.md) shows it at work.

"""
_FORMS = (
    ("`=` `!=` `<` `<=` `>` `>=`", "compare with one value"),
    ("`IN (a, b)`, `NOT IN (a, b)`", "one of them, none of them"),
    ("`BETWEEN a AND b`, `NOT BETWEEN a AND b`", "from a to b, both included; not so"),
    ("`STARTS_WITH 'text'`, `NOT STARTS_WITH 'text'`", "the text begins so, case counts; not so"),
    ("`IS NULL`, `IS NOT NULL`", "the run does not have it, has it"),
    ("`AND` `OR` `NOT` `( )`", "NOT binds closest, then AND, then OR"),
    (
        "`ORDER BY field`, `ASC`, `DESC`",
        "at the end, by one field; what does not have it comes last; else newest first",
    ),
)
_RULES = """
Keywords may be in any case; names and texts mean what they say, case and all.

- **Texts** stand in single quotes, a quote in them is doubled: `'it''s'`. Numbers and `true`, `false` stand bare.
- **Names** of search attributes stand bare where they are letters, digits and `_ . : -`, otherwise in backquotes or double quotes. A quoted name is always an attribute's, even `` `Status` ``.
- **Times** are texts with an offset (`'2026-11-25T14:00:00Z'`), days (`'2026-11-25'`, which begins in UTC) or seconds since the epoch. **Durations** are seconds or texts such as `'90s'`, `'1h30m'`, `'2d'`.
- **Kinds are never mixed**: a text is not equal to a number, and not below it. `1` and `1.0` are equal. Texts are ordered by their characters' numbers, on both databases alike; an `ORDER BY` looks at the first 127 characters of an attribute.
- **A run without the field** fails every test but `IS NULL`. So `env != 'prod'` finds runs that have an `env`, another one; `NOT env = 'prod'` finds those without `env`, too. An attribute that is null counts as not there.
- **Truth values and the words of Status and CloseReason** have no order: `=`, `!=` and `IN` are for them.

A filter that cannot be read is refused with 422 `invalid_filter`. The text says what was expected, and `details` names the character, counted from 1: `{"field": "q", "issue": "invalid_filter", "position": 10}`.
"""
_FAST = """
Pages follow each other by the cursor of the Link header, in every order; `offset` goes with newest first alone.
A count reads every run that it counts; a list stops when its page is full.
These lead to their runs by an index, whatever else stands beside them with AND: `=` and `IN` on `WorkflowId`, `RunId`, `Status`, `WorkflowType`, `ParentId`, `ScheduleId`, `ClaimedBy` and search attributes; `STARTS_WITH` on `WorkflowId` and search attributes; ranges of `StartTime`, `CloseTime` and search attributes.
Everything else is looked up on the runs that those find, or, where there is none, on run after run, newest first.
Where each of them finds more than two thousand runs, these are looked at one after the other until a page is full: that is quick if many of them fit.
A search that takes more than ten seconds is stopped and refused with 422 `search_too_slow`: add one of the above.
The address of a request has 4,094 bytes at most, so much less than that is left for a filter with many values or letters beyond ASCII: what is longer is refused with 414.
"""


def rendered() -> str:
    """The text of the page."""
    examples = [(code(text) if "`" not in text else f"`` {text} ``", says) for text, says in EXAMPLES.items()]
    fields = [(code(field.name), _values(field), field.says) for field in FIELDS.values()]
    return "".join(
        [
            head("The filter language", "assay_wsgi/reference/filters.py"), _INTRO,
            table(("filter", "finds"), examples),
            "\n## What may be said\n\n", table(("form", "means"), _FORMS), _RULES,
            "\n## Fields\n\n", table(("field", "values", "what it is"), fields),
            "\nEvery other name is a search attribute.\n",
            "\n## What is fast\n", _FAST,
        ]
    )  # fmt: skip


def _values(field: Field) -> str:
    return ", ".join(map(code, field.choices)) if field.choices else field.kind.value
