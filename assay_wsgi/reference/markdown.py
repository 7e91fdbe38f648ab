"""The little Markdown that pages are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Sequence


def head(title: str, source: str) -> str:
    """Give a page's title, and the comment that says where its words stand."""
    return f"# {title}\n\n<!-- Rendered from {source} by `python -m assay_wsgi.reference docs`. A test holds it. -->\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table; a row's cells are Markdown in one line."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return re.sub(r" +\|", " |", "\n".join(lines)) + "\n"


def anchor(heading: str) -> str:
    """Give the anchor by which a heading is linked to."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def contents(headings: Iterable[str]) -> str:
    """Give a list of links to headings."""
    return "".join(f"- [{heading}](#{anchor(heading)})\n" for heading in headings)


def code(text: object) -> str:
    """Give a word as it is written in a program."""
    return f"`{text}`"


def paragraphs(docstring: str | None) -> list[str]:
    """Give the paragraphs of a docstring, each in one line."""
    return [" ".join(part.split()) for part in (docstring or "").strip().split("\n\n")]
