"""How a child workflow is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import TypedDict

from .definitions import WorkflowDefinition
from .durations import Duration
from .durations import seconds
from .jsontext import plain

if TYPE_CHECKING:
    from typing import Literal

PARENT_CLOSE = ("request_cancel", "terminate", "abandon")


class ChildOptions(TypedDict, total=False):
    """How a child is started. All of it may be left out."""

    id: str | None  # else `<parent's workflow id>-<number of the command>`
    queue: str | None  # else the workflow's own, else the parent's
    parent_close: Literal["request_cancel", "terminate", "abandon"]  # what becomes of it when the parent ends first
    execution_timeout: Duration | None  # of all its runs together; else the workflow's own
    run_timeout: Duration | None  # of one run; else the workflow's own
    search_attributes: Mapping[str, Any] | None


def child_command(
    number: int,
    name: str,
    workflow_id: str,
    options: Mapping[str, Any],
    definition: WorkflowDefinition[..., Any] | None = None,
) -> dict[str, Any]:
    """Return the part of StartChildWorkflow that the options decide, and the definition where they say nothing."""
    unknown = set(options) - set(ChildOptions.__annotations__)
    if unknown:
        raise TypeError(f"no such option of a child: {', '.join(sorted(unknown))}")
    parent_close = options.get("parent_close", "request_cancel")
    if parent_close not in PARENT_CLOSE:
        raise ValueError(f"parent_close must be one of {', '.join(PARENT_CLOSE)}, not {parent_close!r}")
    command = {
        "type": "StartChildWorkflow",
        "seq": number,
        "workflow_type": name,
        "workflow_id": workflow_id,
        "parent_close": parent_close,
    }
    for option in ("execution_timeout", "run_timeout"):
        limit = options.get(option, getattr(definition, option, None))
        if limit is not None:
            command[f"{option}_secs"] = seconds(limit)
    if options.get("search_attributes") is not None:
        command["search_attributes"] = plain(
            dict(options["search_attributes"]), "search attributes of child", workflow_id
        )
    return command
