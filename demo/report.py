"""What the demo has seen, on one screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from . import checkouts
from . import ledger
from . import timers
from .blows import Blow

FAULTS_SHOWN = 20


@dataclass
class Found:
    """What the demo has seen."""

    blows: list[Blow] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    outcomes: Mapping[str, Counter[str]] = field(default_factory=dict)  # kind -> word -> runs that ended so
    secs: float = 0.0
    verdict: ledger.Verdict | None = None
    audit: checkouts.Audit | None = None
    fired: timers.Fired | None = None

    def counted(self, kind: str) -> list[Blow]:
        """The kills that bit."""
        return [blow for blow in self.blows if blow.kind == kind and blow.bit]


def described(blow: Blow) -> str:
    """One kill in one line."""
    name = f"{blow.kind} {blow.worker or blow.pid}"
    if not blow.bit:
        return f"{name}: {blow.proof}: not counted"
    after = "never" if blow.recovered_secs is None else f"{blow.recovered_secs:.2f} s"
    return f"{name}: {blow.proof}; {after} {blow.recovery}"


def report(found: Found, kinds: Sequence[str], rounds: int, fed: Mapping[str, int]) -> str:
    """All of it. `fed`: how many runs of each kind there were."""
    lines = ["", *(_ends(found, kind, number) for kind, number in fed.items())]
    lines += [_kills(found, kind, rounds) for kind in kinds]
    if found.verdict is not None:
        lines += _activities(found.verdict)
    if found.audit is not None:
        lines += _books(found.audit)
    if found.fired is not None:
        lines.append(_timers(found.fired))
    lines.append("fsck: clean" if not any(fault.startswith("fsck") for fault in found.faults) else "fsck: see below")
    lines += [f"FAULT {fault}" for fault in found.faults[:FAULTS_SHOWN]]
    if len(found.faults) > FAULTS_SHOWN:
        lines.append(f"and {len(found.faults) - FAULTS_SHOWN} faults more")
    return "\n".join(lines)


def _ends(found: Found, kind: str, number: int) -> str:
    outcomes = found.outcomes.get(kind, Counter())
    words = ", ".join(f"{count} {word}" for word, count in sorted(outcomes.items()))
    return f"{outcomes.total()} of {number} {kind} finished as they must in {found.secs:.0f} s: {words}"


def _kills(found: Found, kind: str, rounds: int) -> str:
    counted = found.counted(kind)
    missed = sum(blow.kind == kind and not blow.bit for blow in found.blows)
    times = " ".join("never" if blow.recovered_secs is None else f"{blow.recovered_secs:.2f}" for blow in counted)
    return (
        f"  {kind:16} {len(counted)} of {rounds} kills bit{f' ({missed} more did not)' if missed else '':22} "
        f"recovery {times} s {counted[0].recovery if counted else ''}"
    )


def _activities(verdict: ledger.Verdict) -> list[str]:
    again = ", ".join(f"{count} by a {cause}" for cause, count in verdict.repeats.items())
    return [
        f"ledger: {verdict.activities} activities, {verdict.lines} lines; done again: {again or 'none'}; "
        f"{verdict.failed_attempts} attempts failed",
        "history: each activity recorded exactly once" if not verdict.faults else "history: see below",
    ]


def _books(audit: checkouts.Audit) -> list[str]:
    said = ", ".join(f"{count} {word}" for word, count in audit.done.items())
    verdict = "nobody paid twice, what was not shipped was given back, last thing first"
    return [f"books: {said}", f"       {verdict if not audit.faults else 'see below'}"]


def _timers(fired: timers.Fired) -> str:
    verdict = f"none early, the latest {fired.latest_secs:.2f} s late" if not fired.faults else "see below"
    return f"timers: {fired.fired} fired once, {fired.cancelled} cancelled; {verdict}"
