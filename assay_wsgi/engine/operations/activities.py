"""Operations on activities: reports on attempts, and an activity that a caller adds to a run."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field

from ...domain import activities
from ...domain.change import Change
from ...domain.commands import ScheduleActivity
from ...domain.errors import AssayError
from ...domain.errors import LeaseLost
from ...domain.errors import NotFound
from ...domain.model import Activity
from ...domain.model import Run
from ...domain.requests import ActivityReport
from ...domain.requests import Heartbeat
from ...domain.requests import Where
from ...domain.requests import is_within
from ...domain.tokens import ActivityToken
from ...domain.tokens import hashed
from ...domain.tokens import read_activity_token
from ...store.needs import Needs
from ...store.rows import Rows
from ..records import activity_record as record_of
from .operation import Operation
from .runs import OnRun


@dataclass(frozen=True)
class OnActivity(Operation):
    """A report on an activity: by its token, or the old way by its key alone.

    Raises LeaseLost for a token that is none, or not one of `activity_key`.
    """

    token: str | None
    namespace: Where  # a token of another one is unknown
    activity_key: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a token that cannot be right before anything is asked of the database."""
        if self.token is not None and self.activity_key not in (None, read_activity_token(self.token).activity_key):
            raise LeaseLost(f"this is not a token of activity {self.activity_key}")

    @property
    def key(self) -> int:
        """The activity's key."""
        return (self.activity_key or 0) if self.token is None else read_activity_token(self.token).activity_key

    def needs(self, needs: Needs) -> None:
        needs.activities.add(self.key)

    def look(self, rows: Rows) -> tuple[Run, Activity, ActivityToken | None, str | None]:
        """Give the run, the activity, the token as read and its hash. Raises LeaseLost, NotFound."""
        activity = rows.activity(self.key)
        run = None if activity is None else rows.run(activity.run_key)
        if activity is None or run is None or not is_within(run.namespace, self.namespace):
            raise self.unknown()
        if self.token is None:
            return run, activity, None, None
        return run, activity, read_activity_token(self.token), hashed(self.token)

    def unknown(self) -> AssayError:
        """Give the refusal of an activity that nobody knows here."""
        if self.token is None:
            return NotFound(f"not found: activity {self.key}")
        return LeaseLost("no activity has this token")


@dataclass(frozen=True)
class ReportActivity(OnActivity):
    """Take a worker's report on an activity."""

    report: ActivityReport

    def decide(self, rows: Rows, now: float) -> Change:
        run, activity, token, token_hash = self.look(rows)
        return activities.report(run, rows.task(run.run_key), activity, token, token_hash, self.report, now)


@dataclass(frozen=True)
class BeatActivity(OnActivity):
    """Take an activity's heartbeat."""

    beat: Heartbeat
    weight = 1

    def decide(self, rows: Rows, now: float) -> Change:
        run, activity, token, token_hash = self.look(rows)
        return activities.heartbeat(run, activity, token, token_hash, self.beat, now)


@dataclass(frozen=True)
class ReleaseActivity(OnActivity):
    """Hand an attempt back that was not worked on."""

    weight = 1

    def decide(self, rows: Rows, now: float) -> Change:
        run, activity, token, token_hash = self.look(rows)
        return activities.release(run, activity, token, token_hash, now)


@dataclass(frozen=True)
class AddActivity(OnRun):
    """Schedule an activity that no turn asked for. `task_token` = the lease by which a worker may do so."""

    command: ScheduleActivity
    task_token: str | None = None

    def decide(self, rows: Rows, now: float) -> Change:
        run, seq = self.run(rows), self.command.seq
        task = rows.task(run.run_key)
        if self.task_token is not None and (task is None or task.token != hashed(self.task_token)):
            raise LeaseLost(f"this is not the token of a task of workflow {run.workflow_id}")
        known = rows.activity_at(run.run_key, seq)
        if known is None and activities.may_be_too_many(run, 1):
            activities.refuse_too_many(rows.open_activities(run.run_key) + 1)
        change, activity = activities.add(run, task, self.command, known, rows.new_key(), now)
        change.answer = {"created": known is None, "activity": record_of(activity, run)}
        return change
