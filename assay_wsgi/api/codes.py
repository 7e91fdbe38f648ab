"""The one table of error codes: which status, and what to tell whoever gets it.

A code is for machines and stays as it is; `docs/reference/errors.md` is rendered from this table.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """One way in which a request is refused."""

    status: int
    title: str
    means: str
    remedy: str


CANNOT_BE_READ = {
    "bad_request": Code(
        400, "Bad request", "The HTTP request is broken, or its body breaks off.", "Look at what the client sends."
    ),
    "invalid_json": Code(400, "The body is not JSON", "The body cannot be parsed.", "Send JSON in UTF-8."),
    "invalid_unicode": Code(
        400, "The body holds a lone surrogate", "A text has half of a surrogate pair.", "Send whole characters."
    ),
    "invalid_path": Code(
        400, "The path is not text", "The path holds NUL, or bytes that are no UTF-8.", "Percent-encode its parts."
    ),
    "non_finite_number": Code(
        400, "NaN and infinities are not JSON", "A number is NaN or infinite.", "Send null or a text instead."
    ),
    "number_too_long": Code(
        400, "A number is too long", "A number has more digits than Python reads.", "Send it as a text."
    ),
    "duplicate_key": Code(
        400, "A member is there twice", "An object has two members of one name; each reader would take another one.",
        "Send each member once.",
    ),
    "too_deep": Code(400, "The JSON is nested too deeply", "The body has more than 64 levels.", "Flatten it."),
    "method_not_allowed": Code(
        405, "Method not allowed", "The path is there, for other methods.", "Use one that the `Allow` header names."
    ),
    "payload_too_large": Code(
        413, "Too large", "The body or one value in it is too large.",
        "Keep the data elsewhere and send where it is. [Limits](../explain/limits.md) has the numbers.",
    ),
    "upgrade_required": Code(
        426, "This is a WebSocket", "A WebSocket was asked for as if it were a page, or by half a handshake.",
        "Open it as `ws://` or `wss://` with a client of WebSockets.",
    ),
    "unsupported_media_type": Code(
        415, "Send application/json", "A body came without a JSON content type, or compressed.",
        "Send `Content-Type: application/json`, and no `Content-Encoding`.",
    ),
}  # fmt: skip

IS_WRONG = {
    "invalid": Code(
        422, "Invalid request", "The request is wrong in a way that has no code of its own.", "Read `error`."
    ),
    "bad_command": Code(
        422, "Bad command", "A command of a turn is unknown or wrong; `index` and `field` name it. Nothing of the turn "
        "was applied, and its task comes again after a back-off.",
        "Mend the worker. The run waits for it.",
    ),
    "control_character": Code(
        422, "Control character", "A text holds NUL, or a name holds control characters.", "Take them out."
    ),
    "forbidden_character": Code(
        422, "Forbidden character", "A name holds characters that cannot be seen or that turn the text around.",
        "Take them out.",
    ),
    "idempotency_key_reused": Code(
        422, "Idempotency-Key reused for another request", "The key came before, with another method, path or body.",
        "Make a new key for each new request. Repeat a request exactly, or not at all.",
    ),
    "invalid_attribute": Code(
        422, "Invalid search attribute", "An attribute has a bad name, or a value that is no plain value.",
        "Names are a letter or `_`, then letters, digits, `_ . : -`. Values are text, numbers, true, false or null.",
    ),
    "invalid_cron": Code(
        422, "Invalid cron expression", "A cron expression cannot be read, or never fires. `position` is the column "
        "where it goes wrong.",
        "`error` says what would be right. [Cron](cron.md) has the grammar.",
    ),
    "invalid_cursor": Code(
        422, "Invalid cursor", "The cursor was not made by this service.",
        "Take it from the `Link` header, or from a notice, unchanged.",
    ),
    "invalid_filter": Code(
        422, "Invalid filter", "A query parameter is unknown, is there twice, or cannot be read.",
        "`details` names it, and in `q` the character. A filter is never ignored.",
    ),
    "invalid_id": Code(
        422, "Invalid id or name", "An id or name is empty, too long, `.` or `..`, or begins or ends with a space.",
        "Choose another one.",
    ),
    "invalid_idempotency_key": Code(
        422, "Invalid Idempotency-Key", "The key is empty, too long, or holds more than visible ASCII.",
        "Send 1 to 255 visible ASCII characters, for instance a UUID.",
    ),
    "invalid_timezone": Code(
        422, "Invalid time zone", "There is no IANA zone of this name.",
        "Send a name such as `Europe/Berlin`; `error` may know the one that is meant.",
    ),
    "invalid_type": Code(
        422, "Wrong type", "A value is of another JSON type than it must be; `true` and `1.0` are no integers.",
        "`details` names the field.",
    ),
    "invalid_value": Code(
        422, "Invalid value", "A value is none of the words that are allowed there.", "`error` lists them."
    ),
    "missing_field": Code(422, "Missing field", "A field that must be there is not.", "`details` names it."),
    "out_of_range": Code(
        422, "Out of range", "A number is too small or too great, or a text too long.", "`error` says the range."
    ),
    "search_too_slow": Code(
        422, "The search reads too many runs", "It was stopped after ten seconds: no index leads to the runs that it "
        "asks for, and there are too many.",
        "Ask for less, as [the filter language](filters.md#what-is-fast) says.",
    ),
    "too_many_items": Code(422, "Too many items", "A list has more items than it may have.", "Send it in parts."),
    "too_many_pending": Code(
        422, "Too much is pending", "The run has as many open activities or children as one run may have.",
        "Wait for some before you schedule more.",
    ),
}  # fmt: skip

IS_NOT_ALLOWED = {
    "unauthorized": Code(
        401, "Who are you?", "There is no credential, or none that is good: unknown, revoked, expired. Which of these "
        "is not said.",
        "Send `Authorization: Bearer` with an API key or a token of the issuer. An admin makes keys.",
    ),
    "insufficient_role": Code(
        403, "Not with this role", "The caller is known and may not do this. `error` names the roles that may.",
        "Use a key that has such a role, or ask an admin for one.",
    ),
    "cross_site": Code(
        403, "From another site", "A page of another site sent a request that changes something, and the service asks "
        "nobody who they are.",
        "Send it from a program, or let the service ask for keys.",
    ),
    "origin_not_allowed": Code(
        403, "Not from this page", "A page of another site wants to open a WebSocket.",
        "Serve the page from where the service is. Programs send no `Origin`.",
    ),
    "host_not_allowed": Code(
        421, "Not by this name", "A service that asks nobody who they are answers by `localhost`, by addresses, and by "
        "the names in `ASSAY_ALLOWED_HOSTS`: else any page could make a browser on its machine ask it.",
        "Call it by one of these, or let it ask for keys.",
    ),
    "rate_limited": Code(
        429, "Too often", "Too many requests from this address had no good credential.",
        "Mend the credential, and wait for `Retry-After`.",
    ),
}  # fmt: skip

IS_NOT_THERE = {
    "not_found": Code(
        404, "Not found", "There is no such thing. The text begins with `not found: `.",
        "Look at the id and the namespace.",
    ),
    "namespace_not_found": Code(404, "No such namespace", "There is no such namespace.", "Look at its name."),
    "unknown_route": Code(
        404, "No such route", "The path is none of this API.", "Look at the path: there may be a slash too many."
    ),
    # assay 0.1.8 answers 404 to a cancel of a closed run, and its clients count on it
    "already_terminal": Code(
        404, "The run is closed already", "A closed run cannot be cancelled or terminated. The status is assay's.",
        "Nothing is left to do.",
    ),
}  # fmt: skip

IS_IN_ANOTHER_STATE = {
    "conflict": Code(
        409, "Conflict", "The thing does not allow this now, for a reason that has no code of its own.", "Read `error`."
    ),
    "ambiguous_namespace": Code(
        409, "Several namespaces have a run of this id", "The id names a run in each of several namespaces.",
        "Say which, with `?namespace=`.",
    ),
    "ambiguous_run": Code(
        409, "Several leases fit", "The worker holds several tasks of runs with this id.", "Send the `task_token`."
    ),
    "id_taken": Code(
        409, "The id belongs to another open run", "A turn wants to continue its run under an id that is in use. The "
        "task failed and comes again.",
        "Free the id, or let the code choose another one.",
    ),
    "lease_lost": Code(
        409, "The lease is lost", "The token is not the present one: the lease ran out, was taken back, or never was. "
        "Nothing was changed.",
        "Drop the result. The task is somebody else's now.",
    ),
    "last_admin_key": Code(
        409, "The last admin key", "Without this key nobody could make another one.",
        "Make another admin key first: `assay apikey create` on the host always can.",
    ),
    "key_replaced": Code(
        409, "The key was replaced already", "It was rotated before; `replaced_by` of its record names its successor.",
        "Rotate the successor.",
    ),
    "namespace_exists": Code(
        409, "The namespace exists", "A namespace of this name is there.", "Use it: nothing is left to do."
    ),
    "namespace_not_empty": Code(
        409, "The namespace is not empty", "It holds runs or schedules.", "Send `force=true` to delete those, too."
    ),
    "namespace_protected": Code(
        409, "The namespace cannot be deleted", "`main` is always there.", "Delete its runs another way."
    ),
    "nondeterminism": Code(
        409, "The history says otherwise", "A command names a seq that the history holds with another name. From a "
        "turn, the task failed and comes again; the run stays open.",
        "Bring the old code back, or mend the new one. See [Replay](../explain/replay.md).",
    ),
    "session_unknown": Code(
        409, "The worker is not known", "An exchange came from a worker that never began a session. It stands in the "
        "answer of an exchange, whose results were applied.",
        "Begin a session: send `worker`.",
    ),
    "session_replaced": Code(
        409, "The worker has begun another session", "Another process works under this worker's id. It stands in the "
        "answer of an exchange, whose results were applied.",
        "Give each worker process an id of its own.",
    ),
    "schedule_exists": Code(
        409, "The schedule exists", "A schedule of this name is in the namespace.",
        "Change it with `PATCH`, or delete it first.",
    ),
    "schedule_unreadable": Code(
        409, "The schedule cannot be read here", "Its expression or zone is none that this host knows; the host that "
        "made it knew it.",
        "Bring the host's zones up to date, or change the schedule.",
    ),
    "stale_attempt": Code(
        409, "A later attempt has begun", "The token is of an earlier attempt of the activity. Nothing was changed.",
        "Drop the result.",
    ),
    "unhandled_events": Code(
        409, "Events wait that the turn did not know", "The turn would close the run over a signal, a cancel request "
        "or the end of a child that it has not seen. The task comes again at once.",
        "Take the task again. A worker of the SDK does so by itself.",
    ),
    "workflow_already_started": Code(
        409, "The workflow is started already", "An open run has this id, or `id_reuse` forbids another run of it. "
        "`run_id` and `run_status` name it.",
        "Send `id_conflict` or `id_reuse`, or choose another id.",
    ),
    "workflow_closed": Code(
        409, "The run is closed", "A closed run takes no signals, activities or reports.",
        "Drop it, or start another run.",
    ),
    "schedule_limit": Code(
        429, "The namespace has too many schedules", "One namespace has 1,000 schedules.",
        "Delete some, or use another namespace.",
    ),
    "signal_limit": Code(
        429, "The run has had too many signals", "One run takes 10,000 signals.",
        "Let the workflow continue as new now and then.",
    ),
}  # fmt: skip

NOT_NOW = {
    "issuer_unavailable": Code(
        503, "The token's issuer is away", "The issuer's keys cannot be fetched, and none that are kept fit the token.",
        "Try again, and look after the issuer.",
    ),
    "outcome_unknown": Code(
        503, "Nobody can tell whether it was applied", "The connection to the database was lost in the commit, and the "
        "database cannot be asked.",
        "Look, or repeat with the same `Idempotency-Key`, `signal_id` or `task_token`: then it is done once.",
    ),
    "schema_mismatch": Code(
        503, "The database is of another build", "The tables are older or newer than this program.",
        "Run `assay db migrate`, or start the program that fits.",
    ),
    "overloaded": Code(503, "Too much at once", "The service does more than it can.", "Try again later."),
    "store_busy": Code(
        503, "The store is busy", "Somebody else held the rows for too long. Nothing was written.", "Try again."
    ),
    "store_unavailable": Code(
        503, "The store is unavailable", "The database does not answer, or has no room. Nothing was written.",
        "Try again, and look after the database.",
    ),
}  # fmt: skip

NO_PLACE = {
    "too_many_streams": Code(
        503, "Too many streams", "The process has as many streams of the feed as `ASSAY_HTTP_STREAMS` allows.",
        "Come again later, or poll `GET /api/v1/events`, which tells the same.",
    ),
}  # fmt: skip

NEVER = {
    "internal": Code(
        500, "Internal error", "A fault of ours.", "The service's log has more under the `request_id` of the answer."
    )
}

# Heading -> the codes below it.
GROUPS = {
    "The request cannot be read": CANNOT_BE_READ,
    "The request is read, and wrong": IS_WRONG,
    "The caller may not": IS_NOT_ALLOWED,
    "The thing is not there": IS_NOT_THERE,
    "The thing is there, in another state": IS_IN_ANOTHER_STATE,
    "Not now": {**NOT_NOW, **NO_PLACE},
    "A fault": NEVER,
}
CODES: dict[str, Code] = {name: code for group in GROUPS.values() for name, code in group.items()}
