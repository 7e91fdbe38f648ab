"""Histories held against the table of events: what is written is declared, with its members and their types."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from assay_wsgi.domain.events import EVENTS
from assay_wsgi.domain.events import JSON
from assay_wsgi.domain.events import Member
from assay_wsgi.domain.notices import ALWAYS
from assay_wsgi.domain.notices import NOTICES
from assay_wsgi.jsontext import loads

if TYPE_CHECKING:
    from assay_wsgi.store.store import Store

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "string or null": (str, type(None)),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def written(store: Store) -> list[tuple[str, Any]]:
    """Give the type and the decoded payload of every event of a store."""
    with store.read() as db:
        rows = db.rows("SELECT event_type, payload FROM workflow_events")
    return [(event_type, None if payload is None else loads(payload)) for event_type, payload in rows]


def undeclared(store: Store) -> list[str]:
    """Say what stands in a store's histories and feed that the tables of events and notices do not know."""
    with store.read() as db:
        notices = db.rows("SELECT event_type, payload, created_at FROM notices")
    return [
        *(fault for event_type, payload in written(store) for fault in _faults(event_type, payload)),
        *(fault for name, payload, at in notices for fault in _faults_of_notice(name, {**loads(payload), "at": at})),
    ]


def _faults_of_notice(event_type: str, given: dict[str, Any]) -> list[str]:
    declared = NOTICES.get(event_type)
    return (
        [f"{event_type} is no notice"] if declared is None else _misfits(event_type, given, ALWAYS | declared.members)
    )


def _faults(event_type: str, payload: Any) -> list[str]:
    declared = EVENTS.get(event_type)
    if declared is None:
        return [f"{event_type} is no event"]
    members = declared.members
    if members is None:
        return []
    return _misfits(event_type, payload or {}, members)


def _misfits(event_type: str, given: dict[str, Any], members: dict[str, Member]) -> list[str]:
    found = [f"{event_type}.{name} is not declared" for name in given.keys() - members.keys()]
    found += [f"{event_type}.{name} is missing" for name, one in members.items() if one.always and name not in given]
    return found + [
        f"{event_type}.{name} is {value!r:.50}"
        for name, value in given.items()
        if name in members and members[name].type != JSON and not isinstance(value, TYPES[members[name].type])
    ]
