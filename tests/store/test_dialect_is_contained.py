"""Which database it is is known in one room: nobody outside of store/ names a driver, a dialect or SQL."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "assay_wsgi"
STORE = ROOT / "store"
NAMES_A_DATABASE = {  # modules outside of store/ that may say the word, and why
    "settings.py": "reads the URL",
    "cli": "opens, migrates and checks what the URL names",
    "app.py": "says what it runs on",
}
SQL = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|BEGIN|COMMIT|ROLLBACK)\b")


def modules(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Give the string constants of a module that are no docstrings."""
    tree = ast.parse(path.read_text())
    holders = [node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    documented = {id(node.body[0].value) for node in holders if node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.lineno, node.value


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


def attributes(path: Path) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}


def test_only_the_two_dialects_import_a_driver() -> None:
    importers = {path.relative_to(ROOT).as_posix() for path in modules("") if imported(path) & {"sqlite3", "psycopg"}}

    assert importers == {"store/sqlite.py", "store/postgres.py"}


@pytest.mark.parametrize("room", ["domain", "engine", "api", "sidecar", "sdk"])
def test_no_other_room_speaks_sql(room: str) -> None:
    allowed = {
        "SELECT 1",  # a sign of life
        "SELECT 1 FROM namespaces WHERE name = ?",
    }
    found = [
        f"{path.name}:{line} {text}"
        for path in modules(room)
        for line, text in texts(path)
        if SQL.match(text) and text not in allowed
    ]

    assert found == []


def test_no_other_room_asks_which_database_it_is() -> None:
    words = re.compile(r"sqlite|postgres", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{line} {text}"
        for path in modules("domain", "engine", "api", "sidecar")
        for line, text in texts(path)
        if words.search(text)
    ]

    assert found == []


def test_within_the_store_only_the_opener_and_the_schema_ask_for_the_dialects_name() -> None:
    askers = set()
    for path in modules("store"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == "name":
                owner = node.value
                if (isinstance(owner, ast.Attribute) and owner.attr == "dialect") or (
                    isinstance(owner, ast.Name) and owner.id == "dialect"
                ):
                    askers.add(path.name)

    assert askers <= {"store.py", "fsck.py", "schema.py"}


@pytest.mark.parametrize("path", modules("store"), ids=lambda path: path.name)
def test_shared_sql_texts_are_in_the_common_subset(path: Path) -> None:
    """A text for both has no marks but `?`, and no clause that `executemany` answers with nothing on SQLite."""
    if path.name in {"sqlite.py", "postgres.py", "schema.py", "fsck.py"} or "migrations" in path.parts:
        return
    keyword = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE)\b")
    shared = [(line, text) for line, text in texts(path) if keyword.search(text)]

    assert [text for _, text in shared if "%" in text] == []
    assert [text for _, text in shared if re.search(r"\$\d|::|ILIKE|PRAGMA|json_each|jsonb", text)] == [] or (
        path.name in {"store.py", "lists.py", "tables.py"}
    )
    returning = [text for _, text in shared if "RETURNING" in text]
    assert returning == [] or path.name in {"leases.py", "writer.py", "feed.py"}  # one statement, never in bulk


def test_commits_and_roll_backs_happen_in_the_store_alone() -> None:
    callers = {path.parent.name for path in modules("") if attributes(path) & {"commit", "rollback", "atomic"}}

    assert callers <= {"store"}
