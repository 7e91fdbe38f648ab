"""The operations: what each needs to look at, and which rule of the domain decides it. One file a noun.

An operation is data; it is handed to the committer, decided inside a unit of work, and may be decided
again when the unit begins again. So it must not change while it is decided.
"""

from __future__ import annotations

from .activities import AddActivity
from .activities import BeatActivity
from .activities import OnActivity
from .activities import ReleaseActivity
from .activities import ReportActivity
from .keys import CreateKey
from .keys import RevokeKey
from .keys import RotateKey
from .leases import ExpireActivity
from .leases import ExpireTask
from .leases import GiveBackActivity
from .leases import GiveBackTask
from .namespaces import CreateNamespace
from .namespaces import DeleteNamespace
from .operation import Keyed
from .operation import OnBehalf
from .operation import Operation
from .runs import CancelRun
from .runs import ContinueRun
from .runs import DropRun
from .runs import ExpireRun
from .runs import FinishFollowup
from .runs import FireTimer
from .runs import OnRun
from .runs import RetryNow
from .runs import SignalRun
from .runs import SignalWithStart
from .runs import Start
from .runs import TerminateRun
from .schedules import BackfillSchedule
from .schedules import ChangeSchedule
from .schedules import CreateSchedule
from .schedules import DropSchedule
from .schedules import FireSchedule
from .schedules import OnSchedule
from .schedules import PauseSchedule
from .schedules import PostponeSchedule
from .schedules import RemoveSchedule
from .schedules import ResumeSchedule
from .schedules import TriggerSchedule
from .turns import BeatTask
from .turns import OnTask
from .turns import TakeTurn
from .turns import TaskLease
from .workers import BeginSession
from .workers import EndSession
from .workers import RetireWorker

__all__ = [
    "AddActivity", "BackfillSchedule", "BeatActivity", "BeatTask", "BeginSession", "CancelRun", "ChangeSchedule",
    "ContinueRun", "CreateKey", "CreateNamespace", "CreateSchedule", "DeleteNamespace", "DropRun", "DropSchedule",
    "EndSession", "ExpireActivity", "ExpireRun", "ExpireTask", "FinishFollowup", "FireSchedule", "FireTimer",
    "GiveBackActivity", "GiveBackTask", "Keyed", "OnActivity", "OnBehalf", "OnRun", "OnSchedule", "OnTask",
    "Operation", "PauseSchedule", "PostponeSchedule", "ReleaseActivity", "RemoveSchedule", "ReportActivity",
    "ResumeSchedule", "RetireWorker", "RetryNow", "RevokeKey", "RotateKey", "SignalRun", "SignalWithStart", "Start",
    "TakeTurn", "TaskLease", "TerminateRun", "TriggerSchedule",
]  # fmt: skip
