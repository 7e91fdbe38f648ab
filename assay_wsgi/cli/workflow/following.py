"""Following a run: to its end, through its events, over the runs that continue it, and over the service's absence."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from ..failures import FAILED
from ..failures import Failed
from ..output import printable
from ..remote.commands import Session

OPEN = frozenset({"PENDING", "RUNNING"})
CONTINUED = "continued_as_new"
PAGE = 1000
TIMED_OUT = 2
_FIRST_PAUSE_SECS = 0.05
_LONGEST_PAUSE_SECS = 0.5


class TookTooLong(Failed):
    """The wait is over, the run is not."""

    exit_code = TIMED_OUT


class Follower:
    """Looks at a run again and again."""

    def __init__(
        self, session: Session, workflow_id: str, timeout_secs: float | None = None, *, known: bool = False
    ) -> None:
        """`known`: the service has spoken of this run already, so its absence is forgiven from the first look on."""
        self._session = session
        self._known = known
        self._until = None if timeout_secs is None else time.monotonic() + timeout_secs
        self._timeout_secs = timeout_secs
        self.workflow_id = workflow_id

    def record(self, run_id: str | None = None) -> dict[str, Any]:
        """Describe the run (or the newest of the id). Of the very first look nothing is forgiven."""

        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = self._session.service.get(
                f"describe {self.workflow_id}", "workflows", self.workflow_id, **self._session.which(run_id)
            )
            return answer

        found: dict[str, Any] = self._steadily(ask) if self._known else ask()
        self._known = True
        return found

    def records(self, run_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Give the record now, and again and again. Raises TookTooLong when the time is up."""
        pause, record = _FIRST_PAUSE_SECS, self.record(run_id)
        failures = 0
        while True:
            yield record
            failures = self._tell_failure(record, failures)
            left = pause if self._until is None else self._until - time.monotonic()
            if left <= 0:
                raise TookTooLong(
                    f"{self.workflow_id} is still {record['status']} after {self._timeout_secs:g} s{_why(record)}"
                )
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECS)
            seen, record = record, self.record(run_id)
            if record["last_seq"] != seen["last_seq"]:
                pause = _FIRST_PAUSE_SECS

    def _tell_failure(self, record: dict[str, Any], told: int) -> int:
        """Say that the run's task fails, each time that it has failed once more. Gives how often that is."""
        failure = record["task_failure"]
        if failure is None or failure["count"] <= told:
            return told
        self._session.say(
            f"its workflow task fails ({failure['count']}): {printable(failure['message'] or failure['cause'])}"
        )
        return int(failure["count"])

    def events(self, record: dict[str, Any], after_seq: int = 0) -> Iterator[list[dict[str, Any]]]:
        """Give the events up to those that a record knows of, a page at a time."""
        while after_seq < record["last_seq"]:

            def ask(after: int = after_seq) -> list[dict[str, Any]]:
                found: list[dict[str, Any]] = self._session.service.get(
                    f"events of {self.workflow_id}", "workflows", self.workflow_id, "events",
                    after_seq=after, limit=PAGE, **self._session.which(record["run_id"]),
                )  # fmt: skip
                return found

            page = self._steadily(ask)
            if not page:
                return
            yield page
            after_seq = page[-1]["seq"]

    def successor(self, record: dict[str, Any]) -> tuple[str, str]:
        """Name the run that continues this one, by id and run id: its last event tells."""
        (page,) = self.events(record, record["last_seq"] - 1)
        told = json.loads(page[-1]["payload"])
        return told["workflow_id"], told["new_run_id"]

    def _steadily(self, ask: Any) -> Any:
        left = None if self._until is None else max(0.0, self._until - time.monotonic())
        try:
            return self._session.service.steadily(ask, self._session.say, left)
        except Failed as error:
            if self._until is None or time.monotonic() < self._until:
                raise
            raise TookTooLong(f"{error.message}; {self._timeout_secs:g} s are over") from error


def _why(record: dict[str, Any]) -> str:
    """Say what a run that is still open suffers from, as far as its record tells."""
    if record["task_failure"] is not None:
        return f"; its workflow task fails: assay workflow show {record['id']}"
    if record["status"] == "PENDING":
        return f"; no worker of queue {record['task_queue']} has taken it: assay doctor"
    return ""


def outcome_of(record: dict[str, Any]) -> str:
    """Put the end of a run into words."""
    reason = (record.get("close_reason") or record["status"]).replace("_", " ")
    said = "\n".join(map(printable, (record.get("error") or "").splitlines()))
    if said.startswith(reason):
        return f"{record['id']} {record['status']}: {said}"
    why = "" if reason.upper().replace(" ", "_") == record["status"] else f" ({reason})"
    return f"{record['id']} {record['status']}{why}" + (f": {said}" if said else "")


def fail_by(record: dict[str, Any]) -> None:
    """End the command as the run has ended. Does nothing for one that completed."""
    if record["status"] != "COMPLETED":
        click.echo(f"error: {outcome_of(record)}", err=True)
        raise click.exceptions.Exit(FAILED)
