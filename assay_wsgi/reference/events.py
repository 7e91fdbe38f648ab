"""docs/reference/events.md: every type of event, what causes it, and its payload."""

from __future__ import annotations

from ..domain.events import GROUPS
from ..domain.events import EventType
from .markdown import code
from .markdown import head
from .markdown import table

_INTRO = """
A run's history is a list of events, numbered 1, 2, 3 ... without a gap.
Nothing in it is ever changed, and nothing goes but with its namespace.
A closing event is the last one, and every closed run has exactly one.

`GET /workflows/{workflow_id}/events` shows a payload as JSON text; a worker gets it decoded.
*Wakes* means that a worker must see the event: the run gets a workflow task.
A member in italics is there only where there is something to tell.

New types and new members may be added in later versions: read what you know, and leave the rest alone.

"""


def rendered() -> str:
    """The text of the page."""
    lines = [head("Events", "assay_wsgi/domain/events.py"), _INTRO]
    for heading, group in GROUPS.items():
        names = ", ".join(f"[{name}](#{name.lower()})" for name in group)
        lines.append(f"- {heading}: {names}\n")
    for heading, group in GROUPS.items():
        lines.append(f"\n## {heading}\n")
        for name, event in group.items():
            lines += [f"\n### {name}\n\n", *_told(event)]
    return "".join(lines)


def _told(event: EventType) -> list[str]:
    marks = [mark for mark, holds in (("Wakes.", event.wakes), ("Closes the run.", event.closes)) if holds]
    lines = [f"{' '.join([event.says, *marks])}\n\nCaused by: {event.cause[0].lower()}{event.cause[1:]}\n\n"]
    if event.members is None:
        lines.append(f"Payload: {event.payload[0].lower()}{event.payload[1:]}\n")
    else:
        rows = [
            (code(name) if one.always else f"*{code(name)}*", one.type, one.says) for name, one in event.members.items()
        ]
        lines.append(table(("member", "type", ""), rows))
    return lines
