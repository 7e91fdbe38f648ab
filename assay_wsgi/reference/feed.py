"""docs/reference/feed.md: every type of notice, and how the feed is read."""

from __future__ import annotations

from ..api import feeds
from ..domain.events import Member
from ..domain.notices import ALWAYS
from ..domain.notices import NOTICES
from ..domain.notices import RESETS
from .markdown import code
from .markdown import head
from .markdown import table

_INTRO = """
The feed tells whoever follows what happens to runs: each run's notices in their order, each once, none left out.
[Follow what happens](../how-to/follow-what-happens.md) shows how to read it.

A notice is a hint for dashboards, caches and chats; what has happened in full stands in the run's record and history.
Notices are kept for three days (`ASSAY_NOTICE_KEEP_SECS`).

## A notice

- `event_type`: one of the types below. Later versions may have more: leave alone what you do not know.
- `workflow_id`: the run's workflow id.
- `payload`: a JSON object, *as text*, as assay has it. Its members stand below; one in italics is there only where there is something to tell.
- `id`: the cursor behind it. It is opaque; keep it, and go on from it after whatever has happened: a cut line, a restart, another web process.

In a stream of server-sent events `id` and `event_type` are the event's id and its name, and `data` holds `event_type`, `workflow_id` and `payload`.
Where a page tells it, it is one object of the four.

Every payload has:

"""
_ORDER = """
## Order

- A run's notices come in the order in which it went. Notices of different runs come in an order of their own, the same for everybody.
- On PostgreSQL a notice is told when every transaction that began before its own has ended, anywhere on the server: so nothing can come in late. `assay db doctor` names a transaction that holds the feed up.

## Words about the feed itself

They stand where a notice could stand, and no notice has their names.

"""


def rendered() -> str:
    """The text of the page."""
    lines = [head("The feed", "assay_wsgi/domain/notices.py"), _INTRO, _members(ALWAYS)]
    lines.append("\n## Types\n")
    for name, notice in NOTICES.items():
        lines.append(f"\n### {name}\n\n{notice.says}\n")
        if notice.members:
            lines += ["\n", _members(notice.members)]
    reasons = "; ".join(f"{code(name)}: {says}" for name, says in RESETS.items())
    words = [
        (
            code("reset"),
            f"Nobody can go on from your cursor without a hole; `payload` says `reason`. ({reasons}.) Look at the runs "
            "anew; what comes behind this word is whole again.",
        ),
        (code("drain"), "The process is about to end. Come again: another one goes on from your cursor."),
        (
            code("cursor"),
            f"On a WebSocket: a sign of life, first of all and whenever there was nothing for {feeds.SIGN_OF_LIFE_SECS:g} s, "
            "with the cursor to go on from. In a stream it is a comment with an `id`, which clients take note of by "
            "themselves.",
        ),
    ]
    lines += [_ORDER, table(("word", "means"), words)]
    return "".join(lines)


def _members(members: dict[str, Member]) -> str:
    return table(
        ("member", "type", ""),
        [(code(name) if one.always else f"*{code(name)}*", one.type, one.says) for name, one in members.items()],
    )
