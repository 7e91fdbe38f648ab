"""How the doctors tell what they looked at: a line for each thing that is well, and the way out where one is not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from .output import Output


@dataclass(frozen=True, slots=True)
class Looked:
    """One thing that was looked at."""

    check: str
    text: str
    advice: str | None = None  # None: it is well


def tell(output: Output, subject: tuple[str, str], looked: Sequence[Looked]) -> NoReturn:
    """Print what was found about a subject (kind, name), and end: exit code 1 where there are findings."""
    findings = [each for each in looked if each.advice is not None]
    if output.table:
        output.line(subject[1])
        for each in looked:
            output.line(f"  {'ok   ' if each.advice is None else 'WRONG'}  {each.check}: {each.text}")
            if each.advice is not None:
                output.line(f"         {each.advice}")
        output.line(f"{len(findings)} to see to" if findings else "all well")
    else:
        output.record(
            {
                subject[0]: subject[1],
                "checked": list(dict.fromkeys(each.check for each in looked)),
                "findings": [{"check": each.check, "text": each.text, "advice": each.advice} for each in findings],
            }
        )
    sys.exit(1 if findings else 0)
