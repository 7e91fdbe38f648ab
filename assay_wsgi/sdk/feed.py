"""The feed, followed through all that may happen to a connection.

By long polls, not by a stream: they go through every proxy, their end is known in seconds, and `requests` is all they
need. A notice comes once, in order; a service that is away is waited for, for as long as the caller is patient.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from typing import Protocol
from typing import TypedDict
from typing import Union

from .errors import FeedReset
from .jsontext import loads

WAIT_SECS = 20
PAGE = 500


class Notice(TypedDict):
    """Something that happened to a run."""

    id: str  # the cursor behind it
    event_type: str
    workflow_id: str
    payload: dict[str, Any]


class Asks(Protocol):
    """Whoever asks the service, as a Caller does."""

    def get(self, path: str, **params: Any) -> Any:
        """Return the body of what is at a path."""


def notices(
    caller: Asks, namespace: str | None, workflow_id: str | None, types: Union[str, Iterable[str]],
    after: str | None, follow: bool, limit: int = PAGE,
) -> Iterator[Notice]:  # fmt: skip
    """Yield notices after a cursor: those that there are, or as they come for ever; `limit` of them a request.

    Raises FeedReset, and what the caller raises: ApiError.
    """
    wanted = types if isinstance(types, str) else ",".join(types)
    params = {"namespace": namespace, "workflow_id": workflow_id, "type": wanted or None, "limit": limit}
    if after is None:
        after = caller.get("/events", **params)["cursor"]
    while True:
        page = caller.get("/events", after=after, wait=WAIT_SECS if follow else None, **params)
        if page["reset"] is not None:
            raise FeedReset(page["reset"], page["cursor"])
        for notice in page["events"]:
            yield Notice(
                id=notice["id"], event_type=notice["event_type"], workflow_id=notice["workflow_id"],
                payload=loads(notice["payload"]),
            )  # fmt: skip
        after = page["cursor"]
        if not follow and not page["more"]:
            return
        if page["retry_after"] is not None:
            time.sleep(page["retry_after"])
