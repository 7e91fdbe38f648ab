"""`assay queue`: what waits and runs in the task queues."""

from __future__ import annotations

import click

from ..output import Column
from .commands import EngineGroup
from .commands import Session
from .commands import pass_session

COLUMNS = (
    Column("QUEUE", "queue"),
    Column("PENDING", "pending_activities"),
    Column("RUNNING", "running_activities"),
    Column("WORKERS", "workers"),
    Column("SILENT", "silent_workers"),
    Column("TASKS", "waiting_workflow_tasks"),
    Column("LEASED", "leased_workflow_tasks"),
    Column("WAIT SINCE", "oldest_ready_at", time=True),
)


@click.group(cls=EngineGroup)
def queue() -> None:
    """Look at the task queues."""


@queue.command()
@pass_session
def stats(session: Session) -> None:
    """Count what waits and runs in each queue of a namespace.

    PENDING and RUNNING are activities, TASKS and LEASED workflow tasks; the oldest of TASKS has been ready, or is to be
    tried again, since WAIT SINCE. SILENT of the WORKERS were not heard of lately.
    """
    session.out.records(session.service.pages("list queues", "queues", namespace=session.profile.namespace), COLUMNS)
