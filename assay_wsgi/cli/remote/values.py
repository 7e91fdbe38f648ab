"""JSON that is given as an argument: literal, from a file (@path), or from standard input (-)."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from ..failures import BadData
from ..failures import Failed


class Json(click.ParamType[Any]):
    """A JSON value. Ends the command with exit code 64 where it is none."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002  (click's)
        """Read the value; the name of the parameter is in what is said of a bad one."""
        if not isinstance(value, str):
            return value
        named = "the JSON" if param is None else param.opts[0] if param.opts[0].startswith("-") else param.name or ""
        return Given(parse(read(value, named), named))

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002  (click's)
        """Say what may be given."""
        return "JSON|@FILE|-"


class Given:
    """A JSON value that was given: `null` is one, too."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def read(argument: str, named: str) -> str:
    """Read what an argument stands for: itself, the file behind an @, or standard input for -."""
    if argument == "-":
        return sys.stdin.read()
    if not argument.startswith("@"):
        return argument
    try:
        with open(argument[1:], encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise Failed(f"{named}: {argument[1:]} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadData(f"{named}: {argument[1:]} is not UTF-8") from None


def parse(text: str, named: str) -> Any:
    """Read JSON. Raises BadData with the place of the fault."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        hint = "; a text needs its own quotes: '\"text\"'" if text.strip().isalnum() else ""
        raise BadData(f"{named} is not JSON: {error.msg} at line {error.lineno} column {error.colno}{hint}") from None
    except (ValueError, RecursionError) as error:
        raise BadData(f"{named} is not JSON: {error}") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not in JSON")
