"""`assay fsck`: what the tests check of their databases, checked of a live one."""

from __future__ import annotations

import dataclasses
import json
import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

import click

from ...settings import BackendUrl
from ..options import backend_option
from ..options import output_options
from ..options import with_settings
from ..output import Output
from ..profile import Format
from ..progress import Progress

if TYPE_CHECKING:
    from ...store.fsck import Finding


@click.command()
@backend_option
@partial(output_options, unsaid=Format.TABLE)
def fsck(*, backend: str | None, output: Output) -> None:
    """Check that the database says nothing impossible, at work or not. Changes nothing.

    Exit code 0: clean; 1: there are findings; 2: it could not be checked.
    """
    from ...store.fsck import check
    from .stores import existing_store

    settings, _ = with_settings(backend)
    try:
        with existing_store(settings) as store, Progress() as progress:
            findings = check(store, tell=partial(progress, "checking"))
    except Exception as error:  # noqa: BLE001  a traceback would end with exit code 1, which says: findings
        click.echo(f"assay fsck: {settings.backend.shown} could not be checked: {error}", err=True)
        sys.exit(2)
    if output.table:
        _print(output, settings.backend, findings)
    else:
        output.record(_as_record(settings.backend, findings))
    sys.exit(1 if findings else 0)


def _as_record(backend: BackendUrl, findings: Sequence[Finding]) -> dict[str, Any]:
    record = {
        "database": backend.shown,
        "checked": _rules(backend),
        "findings": [dataclasses.asdict(each) for each in findings],
    }
    # What rows hold of a database is not always what JSON and YAML can hold.
    plain: dict[str, Any] = json.loads(json.dumps(record, default=str))
    return plain


def _print(output: Output, backend: BackendUrl, findings: Sequence[Finding]) -> None:
    rules = _rules(backend)
    output.line(f"{backend.shown}: {len(rules)} rules checked")
    output.line(textwrap.fill(", ".join(rules), width=100, initial_indent="  ", subsequent_indent="  "))
    for each in findings:
        output.line(f"BROKEN {each.name}: {each.text} (offenders: {each.count})")
        for row in each.rows:
            output.line(f"    {row}")
    output.line(f"{len(findings)} of them broken" if findings else "clean")


def _rules(backend: BackendUrl) -> list[str]:
    """The rules that `check` looks at."""
    from ...store.fsck import CHECKS

    return [each.name for each in CHECKS if not each.timed and each.only in (None, backend.dialect)]
