"""How a run is asked for: the options of a start, and the body that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import TypedDict
from typing import Union

from .definitions import Target
from .definitions import WorkflowCall
from .definitions import WorkflowDefinition
from .durations import Duration
from .durations import seconds

if TYPE_CHECKING:
    from typing import Literal


class NewRunOptions(TypedDict, total=False):
    """How a run is started. All of it may be left out, or be None."""

    queue: str | None  # else the workflow's own, else the client's
    search_attributes: Mapping[str, Any] | None
    id_reuse: Literal["allow", "allow_failed_only", "reject"] | None  # when a closed run has the id
    run_timeout: Duration | None  # of one run; left out: the workflow's own; None: no end
    execution_timeout: Duration | None  # of all runs of its chain; left out: the workflow's own; None: no end
    idempotency_key: str | None  # the same key and the same start: done once; else a key of this call's own


class StartOptions(NewRunOptions, total=False):
    """How `client.start` starts a run. All of it may be left out, or be None."""

    id: str | None  # the workflow id; else the service makes one
    id_conflict: Literal["fail", "use_existing", "terminate_existing"] | None  # when an open run has the id


class _WithInput(StartOptions, total=False):
    input: Any  # whole, as JSON has it or as the workflow's parameter declares it


class StartRequest(_WithInput):
    """One start of many, for `client.start_many`: `workflow` must be there, `input` and the options may."""

    workflow: Union[WorkflowDefinition[..., Any], WorkflowCall[Any], str]


MEMBERS = {
    "queue": "task_queue",
    "search_attributes": "search_attributes",
    "id_reuse": "id_reuse",
    "run_timeout": "run_timeout_secs",
    "execution_timeout": "execution_timeout_secs",
    "id": "workflow_id",
    "id_conflict": "id_conflict",
}
_DURATIONS = ("run_timeout", "execution_timeout")


def start_body(target: Target, namespace: str, queue: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Make the body of a start, but for its input. Raises TypeError for an option that is none."""
    body: dict[str, Any] = {"workflow_type": target.name, "namespace": namespace}
    settings: dict[str, Any] = {}
    if target.definition is not None:
        settings = {name: getattr(target.definition, name) for name in ("queue", *_DURATIONS)}
    unknown = sorted(set(options) - set(MEMBERS))
    if unknown:
        raise TypeError(
            f"no such option of a start: {', '.join(unknown)} (parameters are named in a call: "
            "start(workflow.prepare(name=...)))"
        )
    settings.update(options)
    settings["queue"] = options.get("queue") or (target.definition and target.definition.queue) or queue
    for option, value in settings.items():
        if value is not None:
            body[MEMBERS[option]] = seconds(value) if option in _DURATIONS else value
    return body
