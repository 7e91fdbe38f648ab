"""`assay db doctor`: whether the database can be relied on, and what to do where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ...settings import BackendUrl
from ..checkup import Looked
from ..checkup import tell
from ..options import backend_option
from ..options import output_options
from ..options import with_settings
from ..output import Output

if TYPE_CHECKING:
    from ...store.doctor.finding import Check
    from ...store.doctor.finding import Finding


@click.command()
@backend_option
@output_options
def doctor(*, backend: str | None, output: Output) -> None:
    """Look at durability, rights, journal or vacuum, disk, indexes and clocks. Changes nothing.

    Each finding says what to do. Exit code 0: none; 1: there are findings, or the database cannot be looked at.
    """
    from ...store.doctor.finding import examine
    from .stores import looked_at

    settings, _ = with_settings(backend)
    checks = _checks(settings.backend)
    with looked_at(settings.backend) as db:
        findings = examine(db, checks)
    tell(output, ("database", settings.backend.shown), list(_looked(checks, findings)))


def _checks(backend: BackendUrl) -> list[Check]:
    from ...store.doctor import postgres
    from ...store.doctor import sqlite

    return sqlite.checks(backend.path) if backend.dialect == "sqlite" else postgres.checks()


def _looked(checks: Sequence[Check], findings: Sequence[Finding]) -> Iterator[Looked]:
    for check in checks:
        ill = [each for each in findings if each.check == check.name]
        if not ill:
            yield Looked(check.name, check.text)
        for each in ill:
            yield Looked(check.name, each.text, each.advice)
