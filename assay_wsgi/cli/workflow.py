"""`assay workflow`: start runs, look at them, act on them, wait for them. The commands are in the modules beside."""

from __future__ import annotations

import click

from .remote import EngineGroup

COMMANDS = {
    "start": "starting:start",
    "start-batch": "starting:start_batch",
    "run": "waiting:run",
    "list": "reading:list_runs",
    "describe": "reading:describe",
    "show": "showing:show",
    "state": "reading:state",
    "events": "reading:events",
    "children": "reading:children",
    "tree": "reading:tree",
    "wait": "waiting:wait",
    "result": "waiting:result",
    "signal": "acting:signal",
    "signal-with-start": "starting:signal_with_start",
    "cancel": "acting:cancel",
    "terminate": "acting:terminate",
    "continue-as-new": "acting:continue_as_new",
}


@click.group(cls=EngineGroup, lazy=COMMANDS)
def workflow() -> None:
    """Start runs, look at them, act on them, wait for them."""
