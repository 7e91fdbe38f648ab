"""`assay fsck`: what the tests check of their databases, checked of a live one."""

from __future__ import annotations

import dataclasses
import json
import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from ...settings import BackendUrl
from ..options import backend_option
from ..options import with_settings
from ..progress import Progress

if TYPE_CHECKING:
    from ...store.fsck import Finding


@click.command()
@backend_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def fsck(*, backend: str | None, as_json: bool) -> None:
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
    if as_json:
        click.echo(json.dumps(_as_json(settings.backend, findings), default=str))
    else:
        _print(settings.backend, findings)
    sys.exit(1 if findings else 0)


def _as_json(backend: BackendUrl, findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "database": backend.shown,
        "checked": _rules(backend),
        "findings": [dataclasses.asdict(each) for each in findings],
    }


def _print(backend: BackendUrl, findings: Sequence[Finding]) -> None:
    rules = _rules(backend)
    click.echo(f"{backend.shown}: {len(rules)} rules checked")
    click.echo(textwrap.fill(", ".join(rules), width=100, initial_indent="  ", subsequent_indent="  "))
    for each in findings:
        click.echo(f"BROKEN {each.name}: {each.text} (offenders: {each.count})")
        for row in each.rows:
            click.echo(f"    {row}")
    click.echo(f"{len(findings)} of them broken" if findings else "clean")


def _rules(backend: BackendUrl) -> list[str]:
    """The rules that `check` looks at."""
    from ...store.fsck import CHECKS

    return [each.name for each in CHECKS if not each.timed and each.only in (None, backend.dialect)]
