"""Task tokens: the key in a token finds the row, the hash of the whole proves the lease.

`w.<run_key>.<random>` for workflow tasks, `a.<activity_key>.<attempt>.<random>` for activities. Only the
SHA-256 is stored, so a copy of the database leases nothing.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from .errors import LeaseLost


class ActivityToken(NamedTuple):
    """What an activity's token says openly."""

    activity_key: int
    attempt: int


def hashed(token: str) -> str:
    """Give the form in which a token is stored."""
    return sha256(token.encode()).hexdigest()


def workflow_token(run_key: int, chance: str) -> str:
    """Make the token of a workflow task."""
    return f"w.{run_key}.{chance}"


def activity_token(activity_key: int, attempt: int, chance: str) -> str:
    """Make the token of one attempt of an activity."""
    return f"a.{activity_key}.{attempt}.{chance}"


def read_workflow_token(token: str) -> int:
    """Give the run's key. Raises LeaseLost for what is no such token."""
    kind, _, rest = token.partition(".")
    key, _, chance = rest.partition(".")
    if kind != "w" or not chance:
        raise LeaseLost("this is not the token of a workflow task")
    return _number(key)


def read_activity_token(token: str) -> ActivityToken:
    """Give the activity's key and the attempt. Raises LeaseLost for what is no such token."""
    parts = token.split(".")
    if len(parts) != 4 or parts[0] != "a":
        raise LeaseLost("this is not the token of an activity")
    return ActivityToken(_number(parts[1]), _number(parts[2]))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise LeaseLost("this is not a task token")
    return int(text)
