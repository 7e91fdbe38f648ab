"""The house's walls: who may import whom. Data flows down through the floors; no import points up.

Every import counts, those inside functions and those for type checkers too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "assay_wsgi"
ROOT = Path(__file__).parent.parent / PACKAGE

# Room (a package or module directly below assay_wsgi) -> the rooms that it may import beside itself.
MAY_IMPORT: dict[str, set[str]] = {
    "jsontext": set(),
    "settings": set(),
    "version": set(),
    "sdk": {"version"},
    "domain": {"jsontext"},
    "store": {"domain", "jsontext", "settings"},
    "auth": {"store", "domain", "jsontext", "settings"},
    "engine": {"store", "domain", "jsontext", "settings", "version"},
    "api": {"engine", "auth", "domain", "jsontext", "settings", ""},
    "sidecar": {"engine", "domain", "settings"},
    "app": {"api", "auth", "engine", "domain", "settings"},
    "cli": {"app", "auth", "sidecar", "engine", "store", "domain", "settings", "sdk", "version"},
    "reference": {"app", "api", "auth", "engine", "store", "domain", "settings"},
    "__main__": {"cli"},
    "": {"app", "domain", "engine", "version"},  # its version at load, the rest when asked for
}
DRIVERS = {"sqlite3", "psycopg", "psycopg_pool"}
ENVIRONMENT = {"settings", "sdk"}  # may read the environment; sdk/ stands alone and reads its own names


class Import(NamedTuple):
    """One import statement's target."""

    importer: str  # dotted module
    target: str  # dotted module
    line: int

    @property
    def where(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def modules() -> dict[str, ast.Module]:
    """Every module of the package, parsed."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        dotted = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        found[dotted] = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return found


MODULES = modules()


def room(module: str) -> str:
    """The room that a module of ours is in; "" is the package's own __init__."""
    parts = module.split(".")[1:]
    return "" if not parts or parts == ["__init__"] else parts[0]


def is_module(dotted: str) -> bool:
    return dotted in MODULES or any(module.startswith(f"{dotted}.") for module in MODULES)


def imports(module: str, tree: ast.Module) -> Iterator[Import]:
    """Every import of a module, as absolute names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(module, name.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = module.split(".")[: -node.level]
                origin = ".".join([*above, *([origin] if origin else [])])
            for name in node.names:
                # `from . import x` names the module x where there is one, else a name in the package.
                whole = f"{origin}.{name.name}"
                yield Import(module, whole if is_module(whole) else origin, node.lineno)


IMPORTS = [each for module, tree in MODULES.items() for each in imports(module, tree)]
OURS = [each for each in IMPORTS if each.target.split(".")[0] == PACKAGE]
FOREIGN = [each for each in IMPORTS if each.target.split(".")[0] != PACKAGE]


def test_every_room_has_its_place_in_the_table():
    assert {room(module) for module in MODULES} - MAY_IMPORT.keys() == set()


def test_no_import_points_up():
    wrong = [
        each.where
        for each in OURS
        if room(each.target) != room(each.importer)
        and room(each.target) not in MAY_IMPORT.get(room(each.importer), set())
    ]

    assert wrong == []


def test_the_table_has_no_circle():
    floors = {name: allowed - {""} for name, allowed in MAY_IMPORT.items() if name}
    while floors:
        lowest = {name for name, allowed in floors.items() if not allowed & floors.keys()}
        assert lowest, f"these import each other: {sorted(floors)}"
        floors = {name: allowed for name, allowed in floors.items() if name not in lowest}


@pytest.mark.parametrize(
    ("where", "allowed"),
    [
        ("sdk", {"requests", "urllib3", "orjson"}),
        ("domain", set()),
        ("settings", set()),
        ("jsontext", {"orjson"}),
    ],
)
def test_what_stands_alone_needs_only_the_standard_library(where, allowed):
    wrong = [
        each.where
        for each in FOREIGN
        if room(each.importer) == where and each.target.split(".")[0] not in sys.stdlib_module_names | allowed
    ]

    assert wrong == []


def test_the_package_itself_imports_nothing_but_its_version():
    tree = MODULES[f"{PACKAGE}.__init__"]
    at_load = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]

    assert {node.module for node in at_load if isinstance(node, ast.ImportFrom)} == {"__future__", "typing", "version"}
    assert len(at_load) == 3


def test_only_the_store_knows_the_databases_drivers():
    wrong = [each.where for each in FOREIGN if each.target.split(".")[0] in DRIVERS and room(each.importer) != "store"]

    assert wrong == []


def test_only_the_store_and_the_api_know_their_libraries():
    homes = {
        "flask": {"api", "app"},
        "werkzeug": {"api", "app"},
        "marshmallow": {"api"},
        "apscheduler": {"sidecar"},
        "jwt": {"auth"},
        "cryptography": {"auth"},
    }
    wrong = [
        each.where
        for each in FOREIGN
        if room(each.importer) not in homes.get(each.target.split(".")[0], {room(each.importer)})
    ]

    assert wrong == []


def test_only_settings_reads_the_environment():
    wrong = [
        f"{module}:{node.lineno}"
        for module, tree in MODULES.items()
        if room(module) not in ENVIRONMENT
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in {"environ", "environb", "getenv", "putenv"}
    ]

    assert wrong == []


def test_a_wall_that_is_broken_is_seen():
    tree = ast.parse("def late():\n    from ..store import store\n    from .. import engine\n")

    seen = list(imports("assay_wsgi.domain.runs", tree))

    assert [each.target for each in seen] == ["assay_wsgi.store.store", "assay_wsgi.engine"]
    assert [room(each.target) for each in seen] == ["store", "engine"]
