"""What a program hands to the engine, checked before any of it is written.

The API has checked what came over the wire, in more words; these are the rules that the engine itself rests on.
"""

from __future__ import annotations

import math
import re
from typing import Any

from ..domain import attributes
from ..domain.commands import ContinueAsNew
from ..domain.errors import Invalid
from ..domain.notices import NOTICES
from ..domain.notices import Wanted
from ..domain.requests import ID_CONFLICT
from ..domain.requests import ID_REUSE
from ..domain.requests import LONGEST_NAME
from ..domain.requests import LONGEST_SCHEDULE_NAME
from ..domain.requests import OVERLAP_POLICIES
from ..domain.requests import ROLES
from ..domain.requests import Backfill
from ..domain.requests import Idempotency
from ..domain.requests import NewKey
from ..domain.requests import NewSchedule
from ..domain.requests import SchedulePatch
from ..domain.requests import SentSignal
from ..domain.requests import StartRun
from ..domain.schedules import TIMES_OF_RUNS
from ..jsontext import dumps
from ..jsontext import loads

_KEY = re.compile(r"[!-~]{1,255}")
_ALL = "*"
_CHOICES = {"id_conflict": ID_CONFLICT, "id_reuse": ID_REUSE}


def start(request: StartRun) -> None:
    """Check a start. Raises Invalid."""
    for field in ("workflow_type", "namespace", "task_queue"):
        name(getattr(request, field), field)
    if request.workflow_id is not None:
        name(request.workflow_id, "workflow_id")
    for field, choices in _CHOICES.items():
        if getattr(request, field) not in choices:
            raise Invalid(f"{field} is one of {', '.join(choices)}, not {getattr(request, field)!r}")
    for field in ("execution_timeout_secs", "run_timeout_secs"):
        _duration(getattr(request, field), field)
    json_text(request.input, "input")
    if request.search_attributes is not None and (wrong := attributes.fault(request.search_attributes)):
        raise Invalid(f"search_attributes: {wrong}", code="invalid_attribute")


def schedule(wanted: NewSchedule) -> NewSchedule:
    """Check a schedule; its expression and zone are checked where they are read. Raises Invalid."""
    name(wanted.name, "name", LONGEST_SCHEDULE_NAME)
    for field in ("workflow_type", "namespace", "task_queue"):
        name(getattr(wanted, field), field)
    _schedules_choices(wanted)
    return wanted


def schedule_patch(patch: SchedulePatch) -> SchedulePatch:
    """Check changes of a schedule. Raises Invalid."""
    for field in ("workflow_type", "task_queue"):
        if getattr(patch, field) is not None:
            name(getattr(patch, field), field)
    _schedules_choices(patch, zero_takes_away=True)
    return patch


def backfill(asked: Backfill) -> Backfill:
    """Check what is to be made up for. Raises Invalid."""
    overlap_policy(asked.overlap_policy)
    for field, moment in (("start", asked.start), ("end", asked.end)):
        if moment is not None and (type(moment) not in (int, float) or not math.isfinite(moment)):
            raise Invalid(f"{field} must be seconds since the epoch, not {moment!r:.60}")
    if asked.end is not None and asked.end < asked.start:
        raise Invalid("end must not be before start", code="out_of_range")
    return asked


def overlap_policy(policy: str | None) -> str | None:
    """Check what a tick is to do while a run is open. Raises Invalid."""
    if policy is not None and policy not in OVERLAP_POLICIES:
        raise Invalid(
            f"overlap_policy is one of {', '.join(OVERLAP_POLICIES)}, not {policy!r:.60}", code="invalid_value"
        )
    return policy


def _schedules_choices(wanted: NewSchedule | SchedulePatch, *, zero_takes_away: bool = False) -> None:
    overlap_policy(wanted.overlap_policy)
    for field in ("execution_timeout_secs", "run_timeout_secs", "catchup_window_secs"):
        secs = getattr(wanted, field)
        if not (zero_takes_away and secs == 0 and field in TIMES_OF_RUNS):
            _duration(secs, field)
    json_text(wanted.input, "input")
    if wanted.search_attributes is not None:
        try:
            dumps(dict(wanted.search_attributes))
        except (TypeError, ValueError) as error:
            raise Invalid(f"search_attributes cannot be written as JSON: {error}") from error


def signal(sent: SentSignal) -> SentSignal:
    """Check a signal. Raises Invalid."""
    name(sent.name, "the signal's name")
    if sent.signal_id is not None:
        name(sent.signal_id, "signal_id")
    json_text(sent.payload, "payload")
    return sent


def continuation(command: ContinueAsNew) -> ContinueAsNew:
    """Check how a run is to be continued. Raises Invalid."""
    for field in ("workflow_id", "workflow_type", "task_queue"):
        if getattr(command, field) is not None:
            name(getattr(command, field), field)
    json_text(command.input, "input")
    return command


def idempotency(asked: Idempotency) -> Idempotency:
    """Check an Idempotency-Key. Raises Invalid."""
    name(asked.scope, "the scope of an Idempotency-Key")
    if type(asked.key) is not str or _KEY.fullmatch(asked.key) is None:
        raise Invalid(
            f"an Idempotency-Key is 1 to 255 visible ASCII characters, not {asked.key!r:.60}",
            code="invalid_idempotency_key",
        )
    return asked


def key(wanted: NewKey) -> None:
    """Check an API key to be made. Raises Invalid."""
    if wanted.label is not None:
        name(wanted.label, "label")
    elif wanted.idempotent:
        raise Invalid("idempotent means that a key of the same label will do: give a label", code="missing_field")
    strangers = [role for role in wanted.roles if role not in ROLES]
    if strangers or not wanted.roles:
        raise Invalid(f"roles are some of {', '.join(ROLES)}, not {list(wanted.roles)!r:.60}", code="invalid_value")
    if wanted.namespaces is not None and not wanted.namespaces:
        raise Invalid("namespaces must name one at least; without it, the key is for all of them", code="out_of_range")
    for namespace in wanted.namespaces or ():
        name(namespace, "a namespace")
        if namespace == _ALL:  # what grants say where all are meant
            raise Invalid("leave namespaces out for a key that is for all of them", code="invalid_value")
    _duration(wanted.expires_in_secs, "expires_in_secs")


def grace(secs: float) -> None:
    """Check for how long a key that is replaced still works. Raises Invalid."""
    if secs != 0:
        _duration(secs, "grace_secs")


def page(limit: int, wait_secs: float) -> None:
    """Check how much of the feed is wanted, and for how long it is waited for. Raises Invalid."""
    if type(limit) is not int or limit < 1:
        raise Invalid(f"limit must be a whole number above 0, not {limit!r:.60}")
    if type(wait_secs) not in (int, float) or not math.isfinite(wait_secs) or wait_secs < 0:
        raise Invalid(f"wait_secs must be a number of seconds, not {wait_secs!r:.60}")


def wanted(notices: Wanted) -> None:
    """Check which notices are wanted. Raises Invalid."""
    if notices.workflow_id is not None:
        name(notices.workflow_id, "workflow_id")
    if notices.namespace is not None and not isinstance(notices.namespace, frozenset):
        name(notices.namespace, "namespace")
    if not isinstance(notices.types, (list, tuple)):
        raise Invalid(f"types must be a list of types of notices, not {notices.types!r:.60}")
    if unknown := [one for one in notices.types if one not in NOTICES]:
        raise Invalid(f"there is no type {unknown[0]!r:.60} of notices: it is one of {', '.join(NOTICES)}")


def reason(text: str | None) -> str | None:
    """Check a reason. Raises Invalid."""
    if text is not None and (type(text) is not str or "\x00" in text):
        raise Invalid(f"a reason is a text without NUL, not {text!r:.60}")
    return text


def name(value: Any, what: str, longest: int = LONGEST_NAME) -> None:
    """Check an id or a name. Raises Invalid."""
    if type(value) is not str or not 0 < len(value) <= longest or "\x00" in value:
        raise Invalid(f"{what} must be a text of 1 to {longest} characters without NUL, not {value!r:.60}")


def json_text(text: str | None, what: str) -> None:
    """Check what must be JSON text: a worker is sent it as it is, among the work of others. Raises Invalid."""
    if text is None:
        return
    try:
        if type(text) is not str:
            raise ValueError(f"it is of {type(text).__name__}")
        loads(text)
    except ValueError as error:
        raise Invalid(f"{what} must be JSON text ({error}): dumps a value, or give it as one") from error


def _duration(secs: Any, what: str) -> None:
    if secs is not None and (type(secs) not in (int, float) or not math.isfinite(secs) or secs <= 0):
        raise Invalid(f"{what} must be a number of seconds above 0, not {secs!r:.60}")
