"""The names that the SDK offers: they are imported when they are asked for, and told the same to everybody."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from assay_wsgi import sdk


def test_type_checkers_importers_and_the_running_code_see_the_same_names() -> None:
    tree = ast.parse(Path(sdk.__file__).read_text(encoding="utf-8"))
    for_checkers = {
        alias.name: node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }  # fmt: skip

    assert for_checkers == sdk._HOMES
    assert sorted(for_checkers) == sorted(sdk.__all__) == sorted(dir(sdk))


def test_each_name_is_what_its_module_has_and_the_same_each_time() -> None:
    for name, home in sdk._HOMES.items():
        found = getattr(sdk, name)

        assert found is getattr(sys.modules[f"assay_wsgi.sdk.{home}"], name)
        assert getattr(sdk, name) is found


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'assay_wsgi\.sdk' has no attribute 'Asay'"):
        _ = sdk.Asay


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    probe = "import sys, assay_wsgi.sdk; print([name for name in sys.modules if name.startswith('assay_wsgi.sdk.')])"

    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
