"""docs/reference/commands.md: every command of a turn, its fields, what it does and what refuses it."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..api.commands import GIVEN
from ..api.commands import MAX_COMMANDS
from ..api.commands import Given
from ..api.jsonschemas import described
from .markdown import code
from .markdown import contents
from .markdown import head
from .markdown import paragraphs
from .markdown import table
from .schemas import default
from .schemas import told

_INTRO = f"""
A worker ends a turn with commands: what the workflow function asked for until it could not go on.
It hands them in by `POST /workflow-tasks/{{workflow_id}}/commands` or by an exchange; see [Routes](routes.md).

```json
[
    {{"type": "ScheduleActivity", "seq": 1, "name": "pack", "input": {{"item": "lamp"}}}},
    {{"type": "WaitForSignal", "name": "approve"}}
]
```

- A turn has at most {MAX_COMMANDS:,} commands. They are checked all together and applied all together, or not at all.
- A command that is refused fails the *task*, not the run: the task comes again after a back-off. The answer's `index` names the command.
- A worker replays its function and sends commands again that it has sent before. Such a repeat is known by its `seq`, and does nothing.
- Members that are unknown are ignored; null counts as absent.
- A *name* has 1 to 255 characters, without control or invisible ones; it is not `.` or `..`, and neither begins nor ends with a space.
- Payloads may be any JSON of at most 2 MiB; [Limits](../explain/limits.md) has all limits.

"""


def rendered() -> str:
    """The text of the page."""
    lines = [head("Commands", "assay_wsgi/api/commands.py and domain/commands.py"), _INTRO]
    lines.append(contents(kind.__name__ for kind in GIVEN))
    for kind, given in GIVEN.items():
        lines.append(f"\n## {kind.__name__}\n\n")
        lines += [f"{paragraph}\n\n" for paragraph in paragraphs(kind.__doc__)]
        defaults = {one.name: one.default for one in dataclasses.fields(kind)}
        rows = [_row(name, one, defaults[name]) for name, one in given.items()]
        lines.append(table(("field", "type", "default", ""), rows))
    return "".join(lines)


def _row(name: str, given: Given, absent: Any) -> tuple[str, str, str, str]:
    schema = {**described(given.check, given.bounds)}
    limits = schema.pop("description", "")
    missing = "required" if given.required else "" if absent is None else default(absent)
    kind = told(schema)
    return code(name), "JSON" if limits.startswith("Any JSON") else kind, missing, given.says
