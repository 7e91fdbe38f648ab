"""Schemas of what goes out. They describe; answers are written without them (tests hold the two equal)."""

from __future__ import annotations

from typing import Any
from typing import ClassVar

from marshmallow import Schema
from marshmallow import fields

Field = fields.Field[Any]


def _member(kind: type[Field], says: str, more: dict[str, Any], *parts: Any) -> Field:
    return kind(*parts, metadata={"description": says} if says else {}, **more)


def _text(says: str = "", **more: Any) -> Field:
    return _member(fields.String, says, more)


def _integer(says: str = "", **more: Any) -> Field:
    return _member(fields.Integer, says, more)


def _number(says: str = "", **more: Any) -> Field:
    return _member(fields.Float, says, more)


_time = _number  # seconds since the epoch


def _flag(says: str = "", **more: Any) -> Field:
    return _member(fields.Boolean, says, more)


def _json(says: str = "", **more: Any) -> Field:
    return _member(fields.Raw, says, more)


def _object(says: str = "", **more: Any) -> Field:
    return _member(fields.Dict, says, more)


def _objects(says: str = "", **more: Any) -> Field:
    return _member(fields.List, says, more, fields.Dict())


class Record(Schema):
    """What goes out. All its members are there, but for those that are said to come `sometimes`."""

    sometimes: ClassVar[frozenset[str]] = frozenset()


class RunStarted(Record):
    """Which run a start found or made."""

    sometimes = frozenset({"already_started"})

    workflow_id = _text("The workflow id.")
    run_id = _text("The run's own id.")
    status = _text("PENDING, or what an open run is that was found.")
    already_started = _flag("Only where true: an open run of this id was there.")


class BatchStarted(Record):
    """One answer an item, in the order given: a RunStarted, or `error` and `code`."""

    results = _objects("In the order given.")


class Done(Record):
    """A request was carried out."""

    ok = _flag("Always true.")
    run_id = _text("The run's own id.")


class SignalTaken(Done):
    """A signal is in the run's history."""

    sometimes = frozenset({"repeated"})

    event_seq = _integer("The seq of its event in the history.")
    repeated = _flag("Only where true: it was taken before, and is not taken twice.")


class RetriedNow(Done):
    """What waited for its back-off and is ready now."""

    task = _flag("Whether the run's workflow task waited.")
    activities = _integer("How many of its activities waited.")


class RunRecord(Record):
    """A run."""

    id = _text("The workflow id.")
    namespace = _text("Its namespace.")
    run_id = _text("The run's own id.")
    workflow_type = _text("Its type.")
    task_queue = _text("Whose workers run it.")
    status = _text("PENDING, RUNNING, COMPLETED, FAILED, CANCELLED or TIMED_OUT.")
    close_reason = _text(
        "completed, failed, cancelled, terminated, timed_out or continued_as_new; null while it is open.",
        allow_none=True,
    )
    input = _text("JSON text.", allow_none=True)
    result = _text("JSON text.", allow_none=True)
    error = _text("Why it failed.", allow_none=True)
    parent_id = _text("The parent's workflow id.", allow_none=True)
    claimed_by = _text("The worker that holds its workflow task.", allow_none=True)
    search_attributes = _text("JSON text.", allow_none=True)
    paused = _object("Null in this version.", allow_none=True)
    waiting_for = _objects(
        "What it is parked on: items of `kind`, `name`, `since`; null while it has work to do.", allow_none=True
    )
    task_failure = _object(
        "Why its last workflow tasks failed: `cause`, `message`, `trace`, `count`, `first_at`, `last_at`; "
        "null after a turn that went well.",
        allow_none=True,
    )
    cancel_requested_at = _time("When it was asked to end.", allow_none=True)
    deadline_at = _time("When its time is over, or the grace of a cancel.", allow_none=True)
    parent_close = _text("What its parent's end means for it: request_cancel, terminate or abandon.", allow_none=True)
    continued_from = _text("The run id of the run before in its chain.", allow_none=True)
    continued_to = _text("The run id of the next.", allow_none=True)
    first_run_id = _text("The run id of the first in its chain.")
    last_seq = _integer("The seq of its newest event.")
    archived_at = _time("Null in this version.", allow_none=True)
    archive_uri = _text("Null in this version.", allow_none=True)
    created_at = _time("When it was started, in seconds since the epoch.")
    updated_at = _time("When something last happened to it.")
    completed_at = _time("When it ended; null before.", allow_none=True)


class RunCount(Record):
    """How many runs there are."""

    sometimes = frozenset({"group_by", "groups", "truncated"})

    count = _integer("All of them.")
    group_by = _text("Only with `group_by`: by what they are counted.")
    groups = _objects("Only with `group_by`: items of `value` and `count`, the largest first.")
    truncated = _flag("Only with `group_by`: whether there are more groups than are told.")


class RunTree(RunRecord):
    """A run, and the runs below it."""

    children = _objects("Runs, each with `children` of its own.")
    truncated = _flag("Whether there are more than `limit`.")


class EventRecord(Record):
    """One event of a run's history."""

    id = _integer("Unique over all runs.")
    workflow_id = _text("The workflow id.")
    run_id = _text("The run's own id.")
    seq = _integer("1, 2, 3 ... in its run, without a gap.")
    event_type = _text("See [Events](events.md).")
    payload = _text("JSON text; null without one.", allow_none=True)
    timestamp = _time("Seconds since the epoch; never before the event before it.")


class State(Record):
    """What a run last showed to queries."""

    state = _json("All that it shows.", allow_none=True)
    event_seq = _integer("The newest event that the code had seen when it showed this.")
    created_at = _time("When it showed it.")


class Value(Record):
    """One value of what a run last showed to queries."""

    value = _json("What it shows under this name.", allow_none=True)
    event_seq = _integer("The newest event that the code had seen when it showed this.")
    created_at = _time("When it showed it.")


class SignalledWithStart(Record):
    """Which run has the signal."""

    sometimes = frozenset({"repeated"})

    workflow_id = _text("The workflow id.")
    run_id = _text("The run's own id.")
    status = _text("What the run is now.")
    started = _flag("Whether the run was started by this request.")
    event_seq = _integer("The seq of the signal in the history.")
    repeated = _flag("Only where true: it was taken before, and is not taken twice.")


class ActivityRecord(Record):
    """An activity."""

    id = _integer("Unique over all runs.")
    workflow_id = _text("The workflow id.")
    run_id = _text("The run's own id.")
    namespace = _text("Its namespace.")
    seq = _integer("The number of its command in its run.")
    name = _text("Which activity.")
    task_queue = _text("Whose workers run it.")
    input = _text("JSON text.", allow_none=True)
    status = _text("PENDING (also between attempts), RUNNING, COMPLETED, FAILED or CANCELLED.")
    result = _text("JSON text.", allow_none=True)
    error = _text("Why it failed for good.", allow_none=True)
    attempt = _integer("The present attempt, or the next one; the first is 1.")
    max_attempts = _integer("0 = without end.")
    initial_interval_secs = _number("The wait before the second attempt.")
    backoff_coefficient = _number("How much longer each wait is than the one before.")
    start_to_close_secs = _number("How long one attempt may take.", allow_none=True)
    heartbeat_timeout_secs = _number("How long an attempt may be silent.", allow_none=True)
    schedule_to_start_secs = _number("How long it may wait for a worker.", allow_none=True)
    schedule_to_close_secs = _number("How long it may take in all.", allow_none=True)
    claimed_by = _text("The worker of the present or last attempt.", allow_none=True)
    scheduled_at = _time("When it was scheduled.")
    visible_at = _time("It is not handed out before.")
    started_at = _time("When the present attempt began.", allow_none=True)
    completed_at = _time("When it had its outcome.", allow_none=True)
    last_heartbeat = _time("When its worker last beat.", allow_none=True)
    heartbeat_details = _json("What the last heartbeat said.", allow_none=True)
    last_failure = _json("How the last failed attempt ended: `error`, `error_type`, `attempt`, `at`.", allow_none=True)
    cancel_requested = _flag("Whether it was cancelled.")


class PolledActivity(ActivityRecord):
    """An activity that was leased."""

    task_token = _text("Names the lease. Send it back with the report.")
    lease_expires_at = _time(
        "When its next time-out falls due, unless it beats; null where it has none.", allow_none=True
    )


class PolledTurn(Record):
    """A workflow task that was leased, with the run's whole history."""

    workflow_id = _text("The workflow id.")
    run_id = _text("The run's own id.")
    namespace = _text("Its namespace.")
    workflow_type = _text("Its type.")
    task_queue = _text("Whose workers run it.")
    input = _json("The run's input, decoded.", allow_none=True)
    history = _objects("Events: `seq`, `event_type`, `payload` (decoded), `timestamp`.")
    history_from = _integer("The history begins after this seq.")
    history_seq = _integer("The newest event of the history.")
    attempt = _integer("The first is 1.")
    task_token = _text("Names the lease. Send it back with the report.")
    lease_expires_at = _time("When the lease runs out, unless it is made longer.")
    cancel_requested = _flag("Whether the run was asked to end.")
    scheduled_for = _time(
        "The time of the schedule that it was started for; null where none started it.", allow_none=True
    )
    continue_as_new_suggested = _flag("Whether the history has grown long.")


class Reported(Record):
    """A report was taken."""

    sometimes = frozenset({"repeated"})

    ok = _flag("Always true.")
    repeated = _flag("Only where true: it was taken before, and is not taken twice.")


class TurnBeaten(Record):
    """A lease lasts longer."""

    ok = _flag("Always true.")
    lease_expires_at = _time("When the lease runs out, unless it is made longer.")
    cancel_requested = _flag("Whether the run was asked to end.")


class ActivityBeaten(Record):
    """An activity's heartbeat was taken."""

    ok = _flag("Always true.")
    cancel_requested = _flag("Whether the activity was cancelled.")
    lease_expires_at = _time(
        "When the next time-out falls due, unless it beats again; null where it has none.", allow_none=True
    )


class Registered(Record):
    """The id under which a worker polls."""

    worker_id = _text("Poll under this id.")


class Lives(Record):
    """A worker's heartbeat was taken."""

    ok = _flag("Always true.")
    registered = _flag("False: this service does not know it. It may poll all the same.")


class WorkerRecord(Record):
    """A worker."""

    id = _text("The worker id.")
    namespace = _text("Its namespace.")
    identity = _text("What it calls itself.")
    task_queue = _text("The queue that it works for.")
    workflows = _text("JSON text of the types that it takes; null = any.", allow_none=True)
    activities = _text("JSON text of the activities that it takes; null = any.", allow_none=True)
    max_concurrent_workflows = _integer("As it said; nobody enforces it.")
    max_concurrent_activities = _integer("As it said; nobody enforces it.")
    active_tasks = _integer("How many leases it holds.")
    last_heartbeat = _time("When it was last heard of; written at most every ten seconds.")
    silent_secs = _integer(
        "How long it was not heard of, where that is more than half the time after which it is retired; else null.",
        allow_none=True,
    )
    registered_at = _time("When it first registered.")
    sdk = _text("Which SDK it uses, if it said so.", allow_none=True)


class NamespaceRecord(Record):
    """A namespace."""

    name = _text("Its name.")
    created_at = _time("When it was made, in seconds since the epoch.")


class NamespaceStats(Record):
    """What a namespace holds. Of more than 100,000 closed runs the counts may be five seconds old."""

    namespace = _text("Its name.")
    total_workflows = _integer("All runs.")
    running = _integer()
    pending = _integer()
    completed = _integer()
    failed = _integer()
    cancelled = _integer()
    timed_out = _integer()
    schedules = _integer("Paused ones, too.")
    workers = _integer("Workers that are not retired.")


class Deleted(Record):
    """A namespace is gone, or (`done` false) emptier than before."""

    sometimes = frozenset({"deleted_workflows"})

    ok = _flag("Always true.")
    done = _flag("False: call again.")
    deleted_workflows = _integer("Only with `force`: how many runs went.")


class ScheduleRecord(Record):
    """A schedule."""

    sometimes = frozenset({"next_runs"})

    name = _text("Its name in its namespace.")
    namespace = _text("Its namespace.")
    workflow_type = _text("The workflow that it starts.")
    cron_expr = _text("When.")
    timezone = _text("Whose wall times.")
    input = _text("JSON text: what each run is given.", allow_none=True)
    task_queue = _text("Whose workers do the runs.")
    search_attributes = _text(
        "JSON text: what each run has besides `ScheduledBy` and `ScheduledTime`.", allow_none=True
    )
    run_timeout_secs = _number("How long each run may take.", allow_none=True)
    execution_timeout_secs = _number("How long a run and all that continue it may take together.", allow_none=True)
    overlap_policy = _text("What a tick does while a run of it is open.")
    catchup_window_secs = _number("How old a missed tick may be that is made up for.")
    paused = _flag("Whether no tick starts anything.")
    pause_reason = _text("Why, if it was said.", allow_none=True)
    last_run_at = _time("When it last started a run.", allow_none=True)
    next_run_at = _time("Its next tick; null while it is paused, and when there is none any more.", allow_none=True)
    last_workflow_id = _text("The run that it last started.", allow_none=True)
    buffered = _integer("How many ticks wait for a run to end.")
    runs_started = _integer("How many runs it has started.")
    ticks_skipped = _integer("How many ticks started none, because of its overlap policy or because it was paused.")
    ticks_missed = _integer("How many ticks passed while nobody was there to see to them, and were not made up for.")
    error = _object(
        "Why it cannot be worked on: `message`, `count` (how often in a row), `at`; null while all is well.",
        allow_none=True,
    )
    created_at = _time("When it was made, in seconds since the epoch.")
    updated_at = _time("When something last happened to it.")
    next_runs = _member(
        fields.List, "Its next three times, as they are while it is not paused; not in lists.", {}, fields.Float()
    )


class ScheduleRemoved(Record):
    """A schedule is gone."""

    ok = _flag("Always true.")


class Triggered(Record):
    """What became of a tick that was asked for."""

    schedule = _text("The schedule's name.")
    tick = _time("The moment that stands for this run: now, to the millisecond.")
    outcome = _text("started, buffered or skipped.")
    reason = _text("Why it was skipped: overlap, buffer_full or id_taken.", allow_none=True)
    workflow_id = _text("The id that its run has, or will have.")
    run_id = _text("The run's own id, once it is started.", allow_none=True)


class Backfilled(Record):
    """How many ticks of a time that has passed are made up for."""

    ticks = _integer("How many there are.")
    queued = _integer("How many will be started, one after the other or as the overlap policy says.")
    known = _integer("How many have started a run already, or wait.")
    left = _integer("How many found no room in the buffer: ask again when some have run.")


class NextRuns(Record):
    """When a schedule fires."""

    name = _text("The schedule's name.")
    timezone = _text("Whose wall times.")
    paused = _flag("Whether it is paused: then none of them starts a run.")
    next_runs = _member(fields.List, "Seconds since the epoch.", {}, fields.Float())


class QueueStats(Record):
    """What waits and runs in a queue."""

    queue = _text("Its name.")
    pending_activities = _integer("Activities that wait.")
    running_activities = _integer("Activities that a worker has.")
    waiting_workflow_tasks = _integer("Runs that wait for a worker.")
    leased_workflow_tasks = _integer("Runs that a worker has.")
    workers = _integer("Workers that work for it.")
    silent_workers = _integer("Those of them that were not heard of for half the time after which one is retired.")
    oldest_ready_at = _time("Since when the oldest task waits; null where none does.", allow_none=True)


class Backlog(Record):
    """What waits or fails in a queue."""

    queue = _text("Its name.")
    workers = _integer("Workers that work for it and were heard of lately.")
    silent_workers = _integer("Workers that were not, and are not retired yet.")
    unpolled_secs = _number("How long no known worker has asked for its work; null: never.", allow_none=True)
    waiting = _objects(
        "What is due and waits, by type: `kind` (workflow or activity), `name`, `count`, `oldest_ready_at`, and "
        "`takers`, how many of the `workers` take it."
    )
    failing = _objects(
        "Runs whose workflow task fails, by type: `workflow_type`, `count`, and `newest`, the one that was written "
        "last: `workflow_id`, `run_id`, `task_failure` (without trace), `again_at` (null while a worker is at it)."
    )


class SentEvent(Record):
    """An event of a stream: a notice, or a word about the stream itself (`reset`, `drain`)."""

    id = _text("The cursor to go on from behind it: a client that comes again sends it as `Last-Event-ID`.")
    event = _text("The type of the notice.")
    data = _text("A JSON object: `event_type`, `workflow_id` and `payload` of the notice.")


class Notice(Record):
    """Something that happened to a run."""

    id = _text("The cursor to go on from behind it.")
    event_type = _text("One of the [types](feed.md), or of those that a later version has.")
    workflow_id = _text("The run's workflow id.", allow_none=True)
    payload = _text("A JSON object, as text.")


class NoticePage(Record):
    """What happened, in order."""

    events = _member(fields.List, "Notices, oldest first.", {}, fields.Nested(Notice))
    cursor = _text("Go on from here: the next `after`.")
    reset = _text(
        "Not null where nobody can go on from `after` without a hole, and why: look at the runs anew, then go on from "
        "`cursor`.",
        allow_none=True,
    )
    more = _flag("Whether asking again brings more at once.")
    retry_after = _number("Seconds; not null where the service could not wait: ask again after that.", allow_none=True)


class Description(Record):
    """This API, as OpenAPI 3.1."""

    openapi = _text()
    info = _object()
    servers = _objects()
    tags = _objects()
    paths = _object()
    components = _object()


class Version(Record):
    """Which build answers."""

    version = _text()
    build_profile = _text("Always `release`.")


class Exchanged(Record):
    """Outcomes of the work handed in, and new work."""

    sometimes = frozenset({"code", "error", "namespace_made"})

    results = _objects(
        "One for each workflow result, then one for each activity result, in the order given: `task_token` and `ok`, "
        "or `error` and `code`."
    )
    workflow_tasks = _objects("Leased runs, as `POST /workflow-tasks/poll` answers them.")
    activity_tasks = _objects("Leased activities; their `input` is decoded.")
    heartbeats = _objects("One for each heartbeat, in the order given.")
    retry_after = _number("Seconds; not null where the service could not wait: ask again after that.", allow_none=True)
    drain = _flag("This process is about to stop: what is asked next is answered by another one.")
    code = _text("`session_replaced` or `session_unknown`: this session gets no work.")
    error = _text("The same for people.")
    namespace_made = _flag("Only where true: the worker's namespace was not there, and was made for it. A slip?")


class KeyRecord(Record):
    """An API key, as far as it may be shown."""

    prefix = _text("By which it is named.")
    label = _text("For people.", allow_none=True)
    roles = fields.List(fields.String(), metadata={"description": "What its bearer may do."})
    namespaces = fields.List(
        fields.String(), allow_none=True, metadata={"description": "Where; null: in all, those to come included."}
    )
    created_by = _text("Who had it made.")
    created_at = _time()
    expires_at = _time("When it ends; null: never.", allow_none=True)
    last_used_at = _time("To the minute.", allow_none=True)
    replaced_by = _text("The prefix of the key that it was rotated to.", allow_none=True)


class NewKeyRecord(KeyRecord):
    """An API key, with itself."""

    sometimes = frozenset({"plaintext"})

    plaintext = _text("The key. It is there in the answer that makes it, and never again.")


class TicketRecord(Record):
    """What stands for a credential once."""

    ticket = _text("As the `ticket` of a query.")
    expires_in_secs = _number("For how long it is good, if nobody uses it before.")


class DeedRecord(Record):
    """A line of the audit log."""

    id = _integer("Later lines have greater ones.")
    at = _time("When it was written.")
    principal = _text("Who; `unknown@` an address where nobody knows.")
    action = _text("The operation, by its `operationId`.")
    namespace = _text("About which namespace, where one was meant.", allow_none=True)
    target = _text("About which thing.", allow_none=True)
    outcome = _text("`done`, or the code of the refusal.")
    request_id = _text("As the answer's X-Request-Id.", allow_none=True)


class Health(Record):
    """The service answers."""

    status = _text("Always `ok`.")
    service = _text("Always `assay-workflow`.")


class Readiness(Record):
    """Whether this process should be sent requests."""

    ready = _flag()
    database = _text("ok or unavailable.")
    sidecar_leads = _flag("Whether some sidecar leads.")
    draining = _flag("Whether the process is about to stop.")
