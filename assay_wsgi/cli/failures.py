"""How a command ends other than well: the exit codes, and what is said on standard error."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

FAILED = 1  # refused by the service, unreachable, not found, bad configuration, a run that did not complete
USAGE = 2  # also: a wait that took too long, as in the reference
REFUSED = 3  # no valid key came with the request, or it does not allow this
BAD_DATA = 64  # an argument that should hold JSON does not
INTERRUPTED = 130


class Failed(click.ClickException):
    """The command could not do what it was asked for."""

    exit_code = FAILED


class Refused(Failed):
    """The service wants to know who asks, or does not let that one do this."""

    exit_code = REFUSED


class BadData(Failed):
    """What should be JSON is not."""

    exit_code = BAD_DATA


class NothingGiven(click.UsageError):
    """`assay` alone: the help, and exit code 1."""

    exit_code = FAILED


def report(error: click.ClickException) -> None:
    """Say on standard error what went wrong; of a wrong call also how it would be right."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, (NothingGiven, click.exceptions.NoArgsIsHelpError)):
        click.echo(error.message if context is None else context.get_help(), err=True)
        return
    click.echo(f"error: {error.format_message()}", err=True)
    if context is not None:
        click.echo(f"{context.get_usage()}\nTry '{context.command_path} --help'.", err=True)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """End well when nobody reads standard output any more: `assay workflow list --all | head` is no error."""
    try:
        yield
    except BrokenPipeError:
        if not _reader_left():
            raise
        # What is still buffered would be written when the interpreter ends, and fail again.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise click.exceptions.Exit(0) from None


def _reader_left() -> bool:
    """Tell standard output's broken pipe from somebody else's."""
    poller = select.poll()
    try:
        poller.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):  # no file behind it
        return False
    return bool(poller.poll(0))  # an error on the pipe is told unasked
