"""Results on standard output: as a table for people, as JSON, JSON lines or YAML for programs.

Tables have no borders and no colour and keep to one line a record, so that awk and grep read them, too.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import TextIO

from .failures import Failed
from .profile import Format

Record = Mapping[str, Any]
GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its title, and the member of a record that it shows."""

    title: str
    member: str
    time: bool = False  # seconds since the epoch


class Times:
    """How moments are written in tables."""

    def __init__(self, style: str) -> None:
        self._style = style  # local, utc, epoch

    def __call__(self, at: float) -> str:
        """Write seconds since the epoch: raw, or as people read them."""
        if self._style == "epoch":
            return _written(at)
        if self._style == "utc":
            return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"
        return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ006  where the reader is


class Output:
    """Prints results in one format."""

    def __init__(self, wanted: Format | None, times: str | None = None, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.tty = self._stream.isatty()
        self.format = wanted or (Format.TABLE if self.tty else Format.JSON)
        self.time = Times(times or ("local" if self.tty else "epoch"))
        # A terminal or pipe that cannot show every letter still gets JSON.
        self._ascii = not (self._stream.encoding or "").lower().startswith("utf")

    @property
    def table(self) -> bool:
        """Whether a person reads."""
        return self.format is Format.TABLE

    def records(self, pages: Iterable[Sequence[Record]], columns: Sequence[Column]) -> None:
        """Print a list, page by page as it comes."""
        _LISTS[self.format](self, pages, columns)

    def growing(self, columns: Sequence[Column]) -> Callable[[Record], None]:
        """Begin a list that has no end yet: each record is printed as it comes, JSON as JSON lines."""
        widths = [
            max(len(column.title), 19 if column.time else 24 if column.title == "TYPE" else 4) for column in columns
        ]

        def as_row(record: Record) -> None:
            cells = [self.cell(record.get(column.member), time=column.time) for column in columns]
            self.line(aligned(cells, [max(width, wide(cell)) for width, cell in zip(widths, cells, strict=True)]))

        if self.table:
            self.line(aligned([column.title for column in columns], widths))
            return as_row
        if self.format is Format.YAML:
            return lambda record: self.line(_yaml([record]))
        return lambda record: self.line(self.compact(record))

    def record(self, one: Any) -> None:
        """Print a single record."""
        if self.format is Format.YAML:
            self.line(_yaml(one))
        elif self.format is Format.JSONL:
            self.line(self.compact(one))
        else:
            self.line(self.pretty(one))

    def done(self, sentence: str, **members: Any) -> None:
        """Say that something was done: a sentence, or `{"ok": true, "message": ...}`."""
        if self.table:
            self.line(sentence)
        else:
            self.record({"ok": True, "message": sentence, **members})

    def line(self, text: str) -> None:
        """Print a line, at once: whoever follows waits for it."""
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Failed(f"the output cannot be written: {error.strerror}") from None

    def pretty(self, value: Any) -> str:
        """Write JSON for the eye."""
        return json.dumps(value, indent=2, ensure_ascii=self._ascii)

    def compact(self, value: Any) -> str:
        """Write JSON on one line."""
        return json.dumps(value, ensure_ascii=self._ascii, separators=(",", ":"))

    def _list_as_table(self, pages: Iterable[Sequence[Record]], columns: Sequence[Column]) -> None:
        widths = [len(column.title) for column in columns]
        rows = [[column.title for column in columns]]
        for page in pages:
            rows += [[self.cell(record.get(column.member), time=column.time) for column in columns] for record in page]
            # What is printed stays as wide as it was; later pages may be wider.
            widths = [
                max(width, *map(wide, cells)) for width, cells in zip(widths, zip(*rows, strict=True), strict=True)
            ]
            for row in rows:
                self.line(aligned(row, widths))
            rows = []
        for row in rows:  # of no page at all
            self.line(aligned(row, widths))

    def _list_as_json(self, pages: Iterable[Sequence[Record]], _columns: Sequence[Column]) -> None:
        before = "["
        for record in _each(pages):
            self._write(before + "\n" + _indented(self.pretty(record)))
            before = ","
        self.line("[]" if before == "[" else "\n]")

    def _list_as_lines(self, pages: Iterable[Sequence[Record]], _columns: Sequence[Column]) -> None:
        for record in _each(pages):
            self.line(self.compact(record))

    def _list_as_yaml(self, pages: Iterable[Sequence[Record]], _columns: Sequence[Column]) -> None:
        empty = True
        for record in _each(pages):
            self.line(_yaml([record]))
            empty = False
        if empty:
            self.line("[]")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Failed(f"the output cannot be written: {error.strerror}") from None

    def cell(self, value: Any, *, time: bool = False) -> str:
        """Write a value as a cell: one word where it can be, `-` where there is none."""
        if value is None or value == "":
            return "-"
        if time and isinstance(value, (int, float)):
            return self.time(value)
        if isinstance(value, (dict, list)):
            return self.compact(value)
        return printable(_written(value))


_LISTS: dict[Format, Callable[[Output, Iterable[Sequence[Record]], Sequence[Column]], None]] = {
    Format.TABLE: Output._list_as_table,
    Format.JSON: Output._list_as_json,
    Format.JSONL: Output._list_as_lines,
    Format.YAML: Output._list_as_yaml,
}


def printable(text: str) -> str:
    """Replace what a terminal might obey and what would break a line: others have written this text."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def wide(text: str) -> int:
    """Count the columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Put cells side by side, without blanks at the end."""
    padded = (cell + " " * (width - wide(cell)) for cell, width in zip(cells, widths, strict=True))
    return GAP.join(padded).rstrip()


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _each(pages: Iterable[Sequence[Record]]) -> Iterator[Record]:
    for page in pages:
        yield from page


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _yaml(value: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**31)
    return text.removesuffix("\n").removesuffix("\n...")
