"""Schemas of what goes out. They describe; answers are written without them (tests hold the two equal)."""

from __future__ import annotations

from marshmallow import Schema
from marshmallow import fields

_time = fields.Float  # seconds since the epoch


class RunStarted(Schema):
    """Which run a start found or made."""

    workflow_id = fields.String()
    run_id = fields.String()
    status = fields.String()
    already_started = fields.Boolean()  # only where true


class BatchStarted(Schema):
    """One answer an item, in the order given: a RunStarted, or `error` and `code`."""

    results = fields.List(fields.Dict())


class Done(Schema):
    """A request was carried out."""

    ok = fields.Boolean()
    run_id = fields.String()


class SignalTaken(Done):
    """A signal is in the run's history."""

    event_seq = fields.Integer()
    repeated = fields.Boolean()  # only where true


class RunRecord(Schema):
    """A run."""

    id = fields.String()  # the workflow id
    namespace = fields.String()
    run_id = fields.String()
    workflow_type = fields.String()
    task_queue = fields.String()
    status = fields.String()
    close_reason = fields.String(allow_none=True)
    input = fields.String(allow_none=True)  # JSON text
    result = fields.String(allow_none=True)  # JSON text
    error = fields.String(allow_none=True)
    search_attributes = fields.String(allow_none=True)  # JSON text
    created_at = _time()
    updated_at = _time()
    completed_at = _time(allow_none=True)


class EventRecord(Schema):
    """One event of a run's history."""

    id = fields.Raw()
    workflow_id = fields.String()
    run_id = fields.String()
    seq = fields.Integer()
    event_type = fields.String()
    payload = fields.String(allow_none=True)  # JSON text
    timestamp = _time()


class State(Schema):
    """What a run last showed to queries."""

    state = fields.Raw(allow_none=True)
    event_seq = fields.Integer()
    created_at = _time()


class Exchanged(Schema):
    """Outcomes of the work handed in, and new work."""

    results = fields.List(fields.Dict())
    workflow_tasks = fields.List(fields.Dict())
    activity_tasks = fields.List(fields.Dict())
    heartbeats = fields.List(fields.Dict())
    retry_after = fields.Float(allow_none=True)  # seconds
    drain = fields.Boolean()
    code = fields.String()  # session_replaced, where it is


class Health(Schema):
    """The service answers."""

    status = fields.String()
    service = fields.String()


class Readiness(Schema):
    """Whether this process should be sent requests."""

    ready = fields.Boolean()
    database = fields.String()  # ok, unavailable
    sidecar_leads = fields.Boolean()
    draining = fields.Boolean()
