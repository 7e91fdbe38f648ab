"""The one table of what each role may do. Each route declares the access that it needs; this says who has it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

EVERYWHERE = "*"  # in a grant: all namespaces, those to come included


class Access(StrEnum):
    """What a route asks of its caller."""

    PUBLIC = "public"  # nothing: not even to be known
    KNOWN = "known"  # to be known, with whatever role
    READ = "read"  # look at runs, queues, workers, schedules, the feed
    OPERATE = "operate"  # start and steer runs, keep schedules
    WORK = "work"  # take tasks and report on them
    MANAGE = "manage"  # a namespace's keys and settings
    GOVERN = "govern"  # what concerns all namespaces: make and delete them, read the audit log


ALLOWS: Mapping[str, frozenset[Access]] = {
    "viewer": frozenset({Access.READ}),
    # A stolen worker key starts nothing elsewhere and reads no other run: a worker sees what its tasks bring.
    "worker": frozenset({Access.WORK}),
    "operator": frozenset({Access.READ, Access.OPERATE}),
    # Not WORK: who administers does not take the workers' tasks, unless that is granted as well.
    "admin": frozenset({Access.READ, Access.OPERATE, Access.MANAGE, Access.GOVERN}),
}

NEEDS_NO_ROLE = frozenset({Access.PUBLIC, Access.KNOWN})
ONLY_EVERYWHERE = frozenset({Access.GOVERN})  # a role in some namespaces does not have it


def roles_with(access: Access) -> list[str]:
    """Name the roles that have an access."""
    return [role for role, allowed in ALLOWS.items() if access in allowed]
