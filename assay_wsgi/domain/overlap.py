"""What becomes of the ticks of a schedule that wait, while a run of it is open or none is.

A run that continues as new is one run with all that continue it. The plan is made over all ticks that wait, each
time: so a tick that could not start is looked at again with the others, in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from .model import Tick

SKIP = "skip"
BUFFER_ONE = "buffer_one"
BUFFER_ALL = "buffer_all"
CANCEL_OTHER = "cancel_other"
TERMINATE_OTHER = "terminate_other"
ALLOW_ALL = "allow_all"
_ASSAYS = {"queue": BUFFER_ALL, "cancel_old": CANCEL_OTHER}  # the names that assay has for two of them
_REPLACING = frozenset({CANCEL_OTHER, TERMINATE_OTHER})

BUFFER_AT_MOST = 1000  # ticks of a schedule

# why a tick is skipped
OVERLAPS = "overlap"
REPLACED = "replaced"
BUFFER_FULL = "buffer_full"


@dataclass(slots=True)
class Plan:
    """What is to be done now; ticks that it does not name go on waiting."""

    starts: list[Tick] = field(default_factory=list)
    skips: list[tuple[Tick, str]] = field(default_factory=list)  # and why
    replaces: Tick | None = None  # starts when what is open has ended, which is to be brought about


def meaning(policy: str) -> str:
    """Give the one name of a policy."""
    return _ASSAYS.get(policy, policy)


def plan(waiting: Sequence[tuple[Tick, str]], is_running: Callable[[], bool]) -> Plan:
    """Plan for ticks with their policies, in the order in which they came."""
    policies = [(tick, meaning(policy)) for tick, policy in waiting]
    running = any(policy != ALLOW_ALL for _, policy in policies) and is_running()
    made = Plan()
    replacing = [tick for tick, policy in policies if policy in _REPLACING]
    if replacing:
        made.skips += [(tick, REPLACED) for tick in replacing[:-1]]
        if running:
            made.replaces = replacing[-1]
        else:
            made.starts.append(replacing[-1])
        running = True
    kept = 0
    one_waits = False
    for tick, policy in policies:
        if policy in _REPLACING:
            continue
        if policy == ALLOW_ALL or not running:
            made.starts.append(tick)
            running = True
        elif policy == SKIP:
            made.skips.append((tick, OVERLAPS))
        elif kept == BUFFER_AT_MOST or (policy == BUFFER_ONE and one_waits):
            made.skips.append((tick, BUFFER_FULL))
        else:
            kept += 1
            one_waits = one_waits or policy == BUFFER_ONE
    return made
