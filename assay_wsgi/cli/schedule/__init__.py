"""`assay schedule`: make schedules, look at them, act on them. The modules beside have the commands."""

from __future__ import annotations

import click

from ..remote.commands import EngineGroup

COMMANDS = {
    "list": "schedule.reading:list_schedules",
    "describe": "schedule.reading:describe",
    "next": "schedule.reading:next_runs",
    "check": "schedule.checking:check",
    "create": "schedule.defining:create",
    "patch": "schedule.defining:patch",
    "pause": "schedule.acting:pause",
    "resume": "schedule.acting:resume",
    "trigger": "schedule.acting:trigger",
    "backfill": "schedule.acting:backfill",
    "delete": "schedule.acting:delete",
}


@click.group(cls=EngineGroup, lazy=COMMANDS)
def schedule() -> None:
    """Start runs again and again: make schedules, look at them, act on them."""
