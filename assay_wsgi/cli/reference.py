"""docs/reference/cli.md: every command with its options and defaults, read off the commands themselves.

`python -m assay_wsgi.cli.reference` prints it; a test keeps the two equal.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from collections.abc import Sequence

import click

from .main import cli
from .options import SharedOption
from .remote.commands import EngineCommand
from .remote.commands import EngineGroup
from .remote.commands import engine_options

_HEAD = """\
# The command line

<!-- Rendered from assay_wsgi/cli by `python -m assay_wsgi.cli.reference`; a test keeps the two equal. -->

`assay` and `python -m assay_wsgi` are the same.
Results are on standard output, all else on standard error.

## Exit codes

| code | |
| --- | --- |
| 0 | done; a reader that leaves early, such as `head`, is no error |
| 1 | `error: ...`: refused, unreachable, not found; a run that did not complete; bad configuration, `--output xml` |
| 2 | a wrong call; or `workflow wait`, `result` and `run`: the time was up first |
| 3 | the service wants a valid key, or this one does not allow it |
| 64 | an argument that should be JSON is none |
| 130 | interrupted by Ctrl-C |

## Formats

| `--output` | lists | one record |
| --- | --- | --- |
| `table` (on a terminal) | upper-case titles, two blanks between columns, `-` for nothing | JSON |
| `json` (on a pipe) | an array | JSON |
| `jsonl` | a line of JSON each | a line of JSON |
| `yaml`, `yml` | one document, `- ` before each | a document |

Records are the API's: `input`, `result` and the like are JSON as text, times are seconds since 1970.
Only tables on a terminal show times as people read them; `--utc` and `--epoch` change that.
A JSON argument is the JSON itself, `@file`, or `-` for standard input.

## Engine options

They may stand before and after each sub-command of a command that talks to a running service; the innermost counts.
A flag wins over the environment, that over the config file, that over the default, each field by itself.
The config file is the one that `--config` or `ASSAY_CONFIG_FILE` names, else the first of
`$XDG_CONFIG_HOME/assay/config.yaml`, `$HOME/.config/assay/config.yaml` and `/etc/assay/config.yaml`.
Its keys: `engine_url`, `api_key`, `api_key_file` (wins over `api_key`), `namespace`, `output`.

"""


def rendered() -> str:
    """The text of docs/reference/cli.md."""
    with click.Context(cli, info_name="assay") as context:
        lines = [_HEAD, *_options(engine_options(), context)]
        for command_context in _contexts(context):
            lines += _section(command_context)
    return "".join(lines)


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """Every command below, depth first."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            with click.Context(command, info_name=name, parent=context) as below:
                yield below
                yield from _contexts(below)


def _section(context: click.Context) -> Iterator[str]:
    command = context.command
    level = "##" if context.parent is not None and context.parent.parent is None else "###"
    yield f"\n{level} {context.command_path}\n\n"
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece]
    yield f"`{' '.join([context.command_path, *pieces])}`\n"
    if command.help:
        yield f"\n{inspect.cleandoc(command.help)}\n"
    told_above = SharedOption if isinstance(command, (EngineCommand, EngineGroup)) else ()
    own = [param for param in command.params if isinstance(param, click.Option) and not isinstance(param, told_above)]
    if own:
        yield "\n"
        yield from _options(own, context)


def _options(options: Sequence[click.Option], context: click.Context) -> Iterator[str]:
    yield "| option | |\n| --- | --- |\n"
    for option in options:
        record = option.get_help_record(context)
        if record is not None:
            written, said = (" ".join(text.split()).replace("|", "\\|") for text in record)
            yield f"| `{written}` | {said} |\n"


if __name__ == "__main__":
    click.echo(rendered(), nl=False)
