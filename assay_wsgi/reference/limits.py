"""docs/explain/limits.md: every limit of the engine with its number, taken from where it is enforced."""

from __future__ import annotations

from ..api import bodies
from ..api import checks
from ..api import commands
from ..api import connections
from ..api import exchange
from ..api import references
from ..api import workflows as workflow_routes
from ..domain import activities
from ..domain import attributes
from ..domain import overlap
from ..domain import schedules
from ..domain import steps
from ..domain import tasks
from ..domain import texts
from ..domain import turns
from ..domain import workflows
from ..domain.cron import expression
from ..domain.requests import LONGEST_SCHEDULE_NAME
from ..engine import namespaces
from ..engine import records
from ..engine import workers
from ..engine.schedules import NEXT_AT_MOST
from ..store import liveness
from ..store import pages
from ..store import pruning
from .markdown import head
from .markdown import table

_INTRO = """
A limit here is part of the program: no setting moves it. What can be set stands in [Settings](../reference/settings.md).

No limit destroys work. What is too large is refused, before anything is written, with a [code](../reference/errors.md).
A long history is no error: the engine says `continue_as_new_suggested`, and the run goes on.
"""
_MIB = 1024 * 1024

_GROUPS: dict[str, list[tuple[str, str, str]]] = {
    "Sizes": [
        ("a request's body", f"{bodies.MAX_BODY_BYTES // _MIB} MiB", "413 `payload_too_large`"),
        (
            "one payload: an input, result, signal, state, heartbeat detail",
            f"{checks.MAX_PAYLOAD_BYTES // _MIB} MiB as JSON",
            "413 `payload_too_large`; in a turn `bad_command`",
        ),
        ("levels of nesting in a body", f"{bodies.MAX_DEPTH}", "400 `too_deep`"),
        ("an id or a name", f"{checks.MAX_ID_CHARS} characters", "422 `invalid_id`"),
        ("a reason", f"{checks.MAX_TEXT_CHARS:,} characters", "422 `out_of_range`"),
        ("an error's text", f"{texts.AT_MOST:,} characters", "it is cut, and the event says `truncated`"),
        ("a trace", f"{texts.AT_MOST:,} characters", "its end is kept"),
        ("a number of seconds", f"{checks.MAX_SECS:,.0f}, which is ten years", "422 `out_of_range`"),
        ("the shortest time-out", f"{commands.MIN_TIMEOUT_SECS:g} s", "422 `out_of_range`"),
    ],
    "Search attributes": [
        ("attributes of a run", f"{attributes.KEYS_AT_MOST}", "422 `too_many_items`; in a turn `bad_command`"),
        ("one value", f"{checks.MAX_ATTRIBUTE_BYTES // 1024} KiB", "413 `payload_too_large`; in a turn `bad_command`"),
        (
            "all of a run's together",
            f"{attributes.BYTES_AT_MOST // 1024} KiB",
            "413 `payload_too_large`; in a turn `bad_command`",
        ),
    ],
    "One run": [
        ("activities without an outcome", f"{activities.OPEN_AT_MOST:,}", "422 `too_many_pending`"),
        ("open children of a chain", f"{steps.CHILDREN_AT_MOST:,}", "422 `too_many_pending`"),
        ("signals", f"{workflows.SIGNALS_AT_MOST:,}", "429 `signal_limit`"),
        (
            "events until continuing as new is suggested",
            f"{records.LONG_HISTORY:,}",
            "nothing: tasks say `continue_as_new_suggested`",
        ),
        ("attempts that an activity may ask for", f"{commands.MAX_ATTEMPTS:,}; 0 is without end", "422 `out_of_range`"),
        ("types of errors in `non_retryable`", f"{commands.MAX_ERROR_TYPES}", "422 `too_many_items`"),
        (
            "closes refused in a row over unread signals",
            f"{turns.CLOSES_REFUSED_AT_MOST}",
            "the next one is taken, after a `SignalsUnhandled` event",
        ),
        (
            "back-off of a task that fails",
            f"{tasks.FIRST_WAIT_SECS:g} s, doubled each time, up to {tasks.LONGEST_WAIT_SECS:g} s; "
            "`retry-now` and a cancel end it",
            "it comes again without end",
        ),
    ],
    "Schedules": [
        ("schedules of a namespace", f"{schedules.SCHEDULES_AT_MOST:,}", "429 `schedule_limit`"),
        ("a schedule's name", f"{LONGEST_SCHEDULE_NAME} characters", "422 `invalid_id`"),
        ("a cron expression", f"{expression.LONGEST_CHARS} characters", "422 `invalid_cron`"),
        (
            "ticks of a schedule that wait",
            f"{overlap.BUFFER_AT_MOST:,}",
            "the newest one is skipped; of a backfill it is `left`",
        ),
        ("ticks of one backfill", f"{schedules.BACKFILL_AT_MOST:,}", "422 `too_many_items`"),
        ("times of `next`", f"{NEXT_AT_MOST}", "422 `out_of_range`"),
        (
            "runs that a schedule starts, or ends, in one transaction",
            f"{schedules.AT_ONCE}",
            "the others follow in the next one",
        ),
        ("what became of a tick", f"{pruning.TICKS_KEPT_SECS / 86400:g} days", "it is forgotten; its run stays"),
        (
            "pause of a schedule that cannot be worked on",
            f"{schedules.FIRST_PAUSE_SECS:g} s, doubled each time, up to {schedules.LONGEST_PAUSE_SECS:g} s",
            "it is looked at again without end",
        ),
    ],
    "One request": [
        ("commands of a turn", f"{commands.MAX_COMMANDS:,}", "422 `too_many_items`"),
        ("runs of a batch", f"{workflow_routes.MAX_BATCH:,}", "422 `too_many_items`"),
        ("results, heartbeats of an exchange", f"{exchange.MAX_RESULTS:,} of each kind", "422 `too_many_items`"),
        (
            "tasks that an exchange is given",
            f"{workers.SLOTS_AT_MOST} of each kind, whatever it asks for",
            "the rest comes with the next one",
        ),
        ("runs that a worker may say it holds", f"{exchange.MAX_CACHED_RUNS:,}", "422 `too_many_items`"),
        ("types, activities that a worker lists", f"{exchange.MAX_TYPES:,} of each kind", "422 `too_many_items`"),
        ("rows of a page", f"{references.MAX_PAGE:,}", "422 `out_of_range`"),
        (
            "bytes of a page of runs, events",
            f"{pages.PAGE_BYTES // _MIB} MiB; one row at least",
            "the page is shorter, and the `Link` header leads on",
        ),
        (
            "time that a stream waits for a client that does not read",
            f"{connections.PATIENCE_SECS:g} s",
            "it is cut off, and loses nothing if it comes again",
        ),
        (
            "time in which a namespace is emptied by `force`",
            f"{namespaces.EMPTYING_SECS:g} s",
            "202: call again",
        ),
    ],
    "Accuracy": [
        (
            "`last_heartbeat` of a worker",
            f"{liveness.EVERY_SECS:g} s",
            "it is written at most so often",
        ),
    ],
}


def rendered() -> str:
    """The text of the page."""
    lines = [head("Limits", "the constants that enforce them"), _INTRO]
    for heading, rows in _GROUPS.items():
        lines += [f"\n## {heading}\n\n", table(("what", "at most", "beyond it"), rows)]
    return "".join(lines)
