"""What can be refused, and why. Each kind has a stable `code`; none of them knows HTTP.

AssayError
+-- NotFound            the thing is not there
+-- Conflict            the thing is there, but not in a state that allows it
|   +-- LeaseLost, StaleAttempt, WorkflowClosed, UnhandledEvents, Nondeterminism, ...
+-- Invalid             the request itself is wrong
|   +-- BadCommand, InvalidCron, WrongTransaction, ...
+-- Unauthorized        nobody knows who calls
|   +-- InvalidToken
+-- WrongHost           asked under a name that is not the service's
+-- Forbidden           the caller is known and may not do this
|   +-- NoRole
+-- RateLimited         too often
+-- Unavailable         try again: nothing was decided (or, OutcomeUnknown, nobody can tell)
"""

from __future__ import annotations

from typing import Any


class AssayError(Exception):
    """A refusal with a stable `code`, a text for people, and members that go into the answer."""

    code = "internal"

    def __init__(self, message: str, code: str | None = None, **members: Any) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.members = members  # JSON values, shown beside the text: run_id, status, index, ...

    @property
    def message(self) -> str:
        """The text for people."""
        return str(self.args[0])

    def told(self) -> dict[str, Any]:
        """Give the form in which a refusal stands among other answers."""
        return {"error": self.message, "code": self.code, **self.members}


class NotFound(AssayError):
    """The named thing does not exist, or the caller may not know that it does."""

    code = "not_found"


class Conflict(AssayError):
    """The named thing is in a state that does not allow this."""

    code = "conflict"


class AlreadyStarted(Conflict):
    """An open run, or one that `id_reuse` forbids to repeat, has this id."""

    code = "workflow_already_started"


class IdTaken(Conflict):
    """The id that a run wants to continue under belongs to another open run: the task fails."""

    code = "id_taken"


class AlreadyTerminal(Conflict):
    """Cancel or terminate of a run that is closed. The wire answers 404."""

    code = "already_terminal"


class WorkflowClosed(Conflict):
    """The run is closed: nothing can be added to it."""

    code = "workflow_closed"


class SignalLimit(Conflict):
    """The run has had as many signals as one run may have."""

    code = "signal_limit"


class LeaseLost(Conflict):
    """The task token is malformed, unknown, foreign, or its lease was taken back."""

    code = "lease_lost"


class StaleAttempt(Conflict):
    """The token belongs to an earlier attempt of the activity."""

    code = "stale_attempt"


class UnhandledEvents(Conflict):
    """A closing turn did not know of a signal or cancel request that waits."""

    code = "unhandled_events"


class Nondeterminism(Conflict):
    """A command names a seq that the history holds with another name or kind."""

    code = "nondeterminism"


class AmbiguousNamespace(Conflict):
    """Several namespaces have a run of this id: the caller must name one."""

    code = "ambiguous_namespace"


class NamespaceExists(Conflict):
    """A namespace of this name is there already."""

    code = "namespace_exists"


class NamespaceNotEmpty(Conflict):
    """The namespace has runs or schedules: deleting it would lose them."""

    code = "namespace_not_empty"


class NamespaceProtected(Conflict):
    """`main` is always there."""

    code = "namespace_protected"


class ScheduleExists(Conflict):
    """A schedule of this name is there already."""

    code = "schedule_exists"


class ScheduleUnreadable(Conflict):
    """This host cannot read the expression or the zone of a schedule that another one has made."""

    code = "schedule_unreadable"


class ScheduleLimit(Conflict):
    """The namespace has as many schedules as one may have."""

    code = "schedule_limit"


class LastAdminKey(Conflict):
    """Without this key nobody could make any other."""

    code = "last_admin_key"


class KeyReplaced(Conflict):
    """The key has a successor already."""

    code = "key_replaced"


class PrefixTaken(Conflict):
    """Another key has this prefix: the engine draws another key."""


class AmbiguousRun(Conflict):
    """Several leases fit: name one by its task_token."""

    code = "ambiguous_run"


class SessionReplaced(Conflict):
    """The worker has begun another session since: this one gets no work."""

    code = "session_replaced"


class Invalid(AssayError):
    """The request cannot be understood or is out of bounds."""

    code = "invalid"


class TooSlow(Invalid):
    """A search reads so many runs that it was stopped; to ask for less is quicker than to ask again."""

    code = "search_too_slow"


class WrongTransaction(Invalid):
    """The program that embeds the engine gave it a database or a transaction that cannot carry its writes."""

    code = "wrong_transaction"


class BadCommand(Invalid):
    """A command of a turn is unknown or malformed; `index` names it."""

    code = "bad_command"


class InvalidCron(Invalid):
    """A cron expression cannot be read, or never fires; `position` is the column where it goes wrong."""

    code = "invalid_cron"


class InvalidTimezone(Invalid):
    """There is no zone of this name."""

    code = "invalid_timezone"


class IdempotencyKeyReused(Invalid):
    """The same Idempotency-Key came with another request."""

    code = "idempotency_key_reused"


class Unauthorized(AssayError):
    """There is no credential, or none that is good. The answer never says which: nobody learns what exists."""

    code = "unauthorized"


class InvalidToken(Unauthorized):
    """The token is malformed, expired, of another issuer or not signed by it. The text is for the log alone."""


class WrongHost(AssayError):
    """The service is asked under a name that is not its own."""

    code = "host_not_allowed"


class Forbidden(AssayError):
    """The caller is known, and has no role that may do this."""

    code = "insufficient_role"


class NoRole(Forbidden):
    """The token is good, and maps to no role here."""


class RateLimited(AssayError):
    """Too often from here; `retry_after_secs` says when it may be tried again."""

    code = "rate_limited"


class Unavailable(AssayError):
    """The store cannot do it now. Nothing was written; try again."""

    code = "store_unavailable"


class TooManyStreams(AssayError):
    """This process has as many open streams as it may have."""

    code = "too_many_streams"


class StoreBusy(Unavailable):
    """Rows that this needs are held by somebody else for too long. Nothing was written; try again."""

    code = "store_busy"


class OutcomeUnknown(Unavailable):
    """The connection was lost during the commit and nobody could be asked. It may have been applied."""

    code = "outcome_unknown"


class IssuerUnavailable(Unavailable):
    """The keys of the token's issuer cannot be fetched, and none that are kept fit. Try again."""

    code = "issuer_unavailable"
