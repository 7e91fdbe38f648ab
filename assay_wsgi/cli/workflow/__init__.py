"""`assay workflow`: start runs, look at them, act on them, wait for them. The modules beside have the commands."""

from __future__ import annotations

import click

from ..remote.commands import EngineGroup

COMMANDS = {
    "start": "workflow.starting:start",
    "start-batch": "workflow.starting:start_batch",
    "run": "workflow.waiting:run",
    "list": "workflow.searching:list_runs",
    "count": "workflow.searching:count_runs",
    "describe": "workflow.reading:describe",
    "show": "workflow.showing:show",
    "state": "workflow.reading:state",
    "events": "workflow.reading:events",
    "children": "workflow.reading:children",
    "tree": "workflow.reading:tree",
    "wait": "workflow.waiting:wait",
    "result": "workflow.waiting:result",
    "signal": "workflow.acting:signal",
    "signal-with-start": "workflow.starting:signal_with_start",
    "retry-now": "workflow.acting:retry_now",
    "cancel": "workflow.acting:cancel",
    "terminate": "workflow.acting:terminate",
    "continue-as-new": "workflow.acting:continue_as_new",
}


@click.group(cls=EngineGroup, lazy=COMMANDS)
def workflow() -> None:
    """Start runs, look at them, act on them, wait for them."""
