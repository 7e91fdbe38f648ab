"""Schedules: what is started again and again, and when."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..auth.roles import Access
from ..domain.requests import CATCHUP_WINDOW_SECS
from ..domain.requests import LONGEST_SCHEDULE_NAME
from ..domain.requests import MAIN
from ..domain.requests import OVERLAP_POLICIES
from ..domain.requests import Backfill
from ..domain.requests import NewSchedule
from ..domain.requests import SchedulePatch
from ..engine.schedules import NEXT_AT_MOST
from . import checks
from . import records
from .commands import MIN_TIMEOUT_SECS
from .context import admission
from .context import engine
from .contract import operation
from .fields import Body
from .fields import Checked
from .fields import Query
from .fields import query_integer
from .idempotency import idempotency
from .references import Id
from .references import PartQuery

MIN_CATCHUP_SECS = 1.0  # a shorter window would miss ticks for the sidecar's own lag
_LONGEST_CRON_CHARS = 4096  # the expression's own limit is the reader's: it says where it ends
_IN_NAMESPACE = "Of this namespace."
_OVERLAP = (
    "What a tick does while a run of the schedule is open. `queue` and `buffer_all` are the same, and so are "
    "`cancel_old` and `cancel_other`."
)

bp = Blueprint("assay_schedules", __name__)


class ScheduleBody(Body):
    """A schedule to make."""

    name = Id(LONGEST_SCHEDULE_NAME, required=True, says="Its name in its namespace; its runs are called after it.")
    workflow_type = Id(required=True, says="The workflow that it starts.")
    cron_expr = Checked(
        checks.text, _LONGEST_CRON_CHARS, required=True,
        says="When: five to seven fields, `@daily` and the like, or `@every 90s`. See [Cron](cron.md).",
    )  # fmt: skip
    timezone = Checked(checks.text, load_default="UTC", says="Whose wall times: the name of an IANA zone.")
    namespace = Id(load_default=MAIN, says="The namespace; it is made where it is not there.")
    task_queue = Id(load_default=MAIN, says="Whose workers do the runs.")
    input = Checked(checks.payload, load_default=None, says="What each run is given.")
    search_attributes = Checked(
        checks.attributes, load_default=None, says="Of each run; `ScheduledBy` and `ScheduledTime` are added."
    )
    overlap_policy = Checked(checks.choice, OVERLAP_POLICIES, load_default="skip", says=_OVERLAP)
    catchup_window_secs = Checked(
        checks.number, MIN_CATCHUP_SECS, load_default=CATCHUP_WINDOW_SECS,
        says="After a standstill, the newest tick that was missed is made up for if it is no older.",
    )  # fmt: skip
    run_timeout_secs = Checked(checks.number, MIN_TIMEOUT_SECS, load_default=None, says="How long each run may take.")
    execution_timeout_secs = Checked(
        checks.number, MIN_TIMEOUT_SECS, load_default=None,
        says="How long a run and all that continue it may take together.",
    )  # fmt: skip


class PatchBody(Body):
    """What is to be another way. What is left out stays as it is."""

    workflow_type = Id(load_default=None, says="The workflow that it starts.")
    cron_expr = Checked(
        checks.text, _LONGEST_CRON_CHARS, load_default=None, says="When. The next run is at its next time from now on."
    )
    timezone = Checked(checks.text, load_default=None, says="Whose wall times; likewise.")
    task_queue = Id(load_default=None, says="Whose workers do the runs.")
    input = Checked(checks.payload, load_default=None, says="What each run is given.")
    search_attributes = Checked(checks.attributes, load_default=None, says="Of each run.")
    overlap_policy = Checked(
        checks.choice, OVERLAP_POLICIES, load_default=None, says=_OVERLAP + " What waits follows the new policy."
    )
    catchup_window_secs = Checked(
        checks.number, MIN_CATCHUP_SECS, load_default=None, says="How old a missed tick may be that is made up for."
    )
    run_timeout_secs = Checked(checks.number, load_default=None, says="How long each run may take; 0 is no limit.")
    execution_timeout_secs = Checked(
        checks.number, load_default=None,
        says="How long a run and all that continue it may take together; 0 is no limit.",
    )  # fmt: skip


class OneSchedule(Query):
    """Which schedule of a name."""

    namespace = Id(load_default=MAIN, says=_IN_NAMESPACE)


class SchedulesQuery(PartQuery):
    """Which schedules, by name."""

    namespace = Id(load_default=MAIN, says=_IN_NAMESPACE)


@bp.post("/schedules")
@operation(
    access=Access.OPERATE,
    body=ScheduleBody,
    returns=records.ScheduleRecord,
    status=201,
    refuses=("schedule_exists", "schedule_limit", "invalid_cron", "invalid_timezone"),
    example={"name": "nightly", "workflow_type": "Report", "cron_expr": "0 2 * * *", "timezone": "Europe/Berlin"},
)
def create(body: dict[str, Any], raw: bytes) -> Any:
    """Make a schedule; its first run is at its next time."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().schedules.create(NewSchedule(**body), idempotency=key)


@bp.get("/schedules")
@operation(access=Access.READ, query=SchedulesQuery, returns=records.ScheduleRecord, many=True, tagged=True)
def list_schedules(query: dict[str, Any]) -> Any:
    """List schedules by name."""
    return engine().schedules.list(query["namespace"], limit=query["limit"], offset=query["offset"])


_NAMES = {"name": ("The schedule.", "nightly")}


@bp.get("/schedules/<name>")
@operation(
    access=Access.READ,
    query=OneSchedule,
    returns=records.ScheduleRecord,
    tagged=True,
    refuses=("not_found",),
    names=_NAMES,
)
def describe(name: str, query: dict[str, Any]) -> Any:
    """Describe a schedule, with its next times."""
    return engine().schedules.describe(name, query["namespace"])


@bp.patch("/schedules/<name>")
@operation(
    access=Access.OPERATE,
    body=PatchBody,
    query=OneSchedule,
    returns=records.ScheduleRecord,
    refuses=("not_found", "invalid_cron", "invalid_timezone"),
    example={"cron_expr": "30 2 * * *"},
    names=_NAMES,
)
def change(name: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Change a schedule; no tick of the old definition comes after the answer."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().schedules.change(name, SchedulePatch(**body), query["namespace"], idempotency=key)


@bp.delete("/schedules/<name>")
@operation(
    access=Access.OPERATE, query=OneSchedule, returns=records.ScheduleRemoved, refuses=("not_found",), names=_NAMES
)
def delete(name: str, query: dict[str, Any], raw: bytes) -> Any:
    """Remove a schedule and what waits of it; its open runs go on."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().schedules.delete(name, query["namespace"], idempotency=key)


class PauseBody(Body):
    """Why."""

    reason = Checked(checks.text, load_default=None, says="For people; the record shows it as `pause_reason`.")


@bp.post("/schedules/<name>/pause")
@operation(
    access=Access.OPERATE,
    body=PauseBody,
    query=OneSchedule,
    returns=records.ScheduleRecord,
    refuses=("not_found",),
    example={"reason": "the warehouse is being moved"},
    names=_NAMES,
)
def pause(name: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Pause a schedule: no tick starts anything, and those that wait are skipped."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().schedules.pause(name, body["reason"], query["namespace"], idempotency=key)


@bp.post("/schedules/<name>/resume")
@operation(
    access=Access.OPERATE,
    query=OneSchedule,
    returns=records.ScheduleRecord,
    refuses=("not_found", "schedule_unreadable"),
    names=_NAMES,
)
def resume(name: str, query: dict[str, Any], raw: bytes) -> Any:
    """Let a schedule go on at its next time; nothing is made up for."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().schedules.resume(name, query["namespace"], idempotency=key)


class TriggerBody(Body):
    """How."""

    overlap_policy = Checked(
        checks.choice, OVERLAP_POLICIES, load_default=None, says="In place of the schedule's own, for this run."
    )


@bp.post("/schedules/<name>/trigger")
@operation(
    access=Access.OPERATE,
    body=TriggerBody,
    query=OneSchedule,
    returns=records.Triggered,
    refuses=("not_found",),
    example={"overlap_policy": "allow_all"},
    names=_NAMES,
)
def trigger(name: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Start a run now, paused or not, as the overlap policy allows."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().schedules.trigger(name, body["overlap_policy"], query["namespace"], idempotency=key)


class BackfillBody(Body):
    """Of which time."""

    start = Checked(
        checks.number, 0.0, checks.MAX_TIME, required=True, says="The first moment, in seconds since the epoch."
    )
    end = Checked(
        checks.number, 0.0, checks.MAX_TIME, load_default=None, says="The last; now, if it is later or left out."
    )
    overlap_policy = Checked(
        checks.choice, OVERLAP_POLICIES, load_default="buffer_all", says="Of these ticks; one after the other, else."
    )


@bp.post("/schedules/<name>/backfill")
@operation(
    access=Access.OPERATE,
    body=BackfillBody,
    query=OneSchedule,
    returns=records.Backfilled,
    refuses=("not_found", "schedule_unreadable"),
    example={"start": 1_700_000_000, "end": 1_700_003_600},
    names=_NAMES,
)
def backfill(name: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Make up for the ticks of a time that has passed; each starts one run at most, however often it is asked for."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().schedules.backfill(name, Backfill(**body), query["namespace"], idempotency=key)


class NextQuery(OneSchedule):
    """How many times."""

    n = Checked(query_integer, 1, NEXT_AT_MOST, load_default=5, says="How many.")


@bp.get("/schedules/<name>/next")
@operation(
    access=Access.READ,
    query=NextQuery,
    returns=records.NextRuns,
    refuses=("not_found", "schedule_unreadable"),
    asks={"n": 10},
    names=_NAMES,
)
def next_runs(name: str, query: dict[str, Any]) -> Any:
    """Tell the next times of a schedule, as they are while it is not paused."""
    return engine().schedules.next(name, query["n"], query["namespace"])
