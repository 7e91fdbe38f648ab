"""`assay db backup`: a copy of a database at work, which is in place whole and checked, or not at all."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from ...domain.errors import AssayError
from ...settings import BackendUrl
from ...settings import inherited_environ
from ..failures import Failed
from ..options import backend_option
from ..options import output_options
from ..options import with_settings
from ..output import Output
from ..progress import Progress
from .newfile import Part
from .newfile import appearing
from .sizes import size

_LOOK_SECS = 0.2
_PRIVATE = 0o600


@click.command()
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path))
@backend_option
@output_options
@click.option("--force", is_flag=True, help="Replace TARGET if it is there.")
@click.option("--no-check", is_flag=True, help="Keep the copy even if it breaks rules of `assay fsck` (SQLite).")
def backup(*, target: Path, backend: str | None, output: Output, force: bool, no_check: bool) -> None:
    """Copy the database into the file TARGET, as it is at one moment. The service may be at work.

    Of SQLite the copy is a database: it is read from end to end and checked before it gets its name.
    Of PostgreSQL it is what pg_dump makes (custom format), to be restored by pg_restore.
    """
    settings, _ = with_settings(backend)
    if settings.backend.in_memory:
        raise click.UsageError("sqlite://:memory: is another database in each process: there is nothing to copy")
    try:
        _refuse(target, settings.backend, force)
        _copy(settings.backend, target, force=force, check=not no_check)
    except FileExistsError:
        raise Failed(f"{target} is there already: name another file, or say --force") from None
    except BlockingIOError:
        raise Failed(f"another backup to {target} is under way") from None
    except AssayError as error:
        raise Failed(f"{settings.backend.shown}: {error}") from None
    except OSError as error:
        raise Failed(f"{target} cannot be written: {error.strerror or error}") from None
    taken = target.stat().st_size
    output.done(f"{settings.backend.shown} copied to {target} ({size(taken)})", target=str(target), bytes=taken)


def _refuse(target: Path, backend: BackendUrl, force: bool) -> None:
    """Say before the work what would be said after it."""
    if target.is_dir():
        raise Failed(f"{target} is a directory: name a file in it")
    if not target.parent.is_dir():
        raise Failed(f"there is no directory {target.parent}")
    if target.exists() and not target.is_file():
        raise Failed(f"{target} is no plain file")
    if backend.dialect == "sqlite":
        _refuse_to_spoil(target, Path(backend.path))
    if target.exists() and not force:
        raise FileExistsError(target)


def _refuse_to_spoil(target: Path, database: Path) -> None:
    if target.exists() and database.exists() and target.samefile(database):
        raise Failed(f"{target} is the database itself")
    for suffix in ("-wal", "-journal"):
        beside = target.with_name(target.name + suffix)
        if beside.exists():
            raise Failed(f"{beside} is of another database, and SQLite would read the copy with it: remove it first")


def _copy(backend: BackendUrl, target: Path, *, force: bool, check: bool) -> None:
    from ...store import schema
    from .stores import looked_at

    with looked_at(backend) as db:
        schema.stored_version(db.database)  # of any version: before a migration is when a copy is wanted most
    if backend.dialect == "postgres":
        dump = _Dump.of(backend, target)
        with appearing(target, mode=_PRIVATE, replace=force) as part, Progress() as progress:
            dump.run(part, progress)
        return
    mode = stat.S_IMODE(os.stat(backend.path).st_mode) & 0o666
    with appearing(target, mode=mode, replace=force) as part, Progress() as progress:
        _copy_file(backend, part, progress, check=check)


def _copy_file(backend: BackendUrl, part: Part, progress: Progress, *, check: bool) -> None:
    from ...store import backup as copies
    from ...store.schema import SchemaMismatch
    from ...store.sqlite import Sqlite

    copies.copy(Sqlite(backend.path), part.path, partial(progress, "copying"))
    progress("reading the copy")
    if damage := copies.damage(part.path):
        raise Failed(
            f"the copy is damaged, and so may be {backend.shown}: {'; '.join(damage[:3])}. Keep the file and its "
            "older copies, and see https://sqlite.org/recovery.html"
        )
    copies.emancipate(part.path)
    if not check:
        return
    try:
        broken = copies.broken_rules(part.path, partial(progress, "checking the copy"))
    except SchemaMismatch as error:
        click.echo(f"the copy is sound; its rules were not checked: {error}", err=True)
        return
    if broken:
        raise Failed(
            f"{backend.shown} breaks {len(broken)} rules ({', '.join(each.name for each in broken)}), and so does the "
            "copy: see `assay fsck`; --no-check keeps the copy all the same"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dump:
    """A call of pg_dump."""

    program: str
    conninfo: str  # without secrets
    secrets: Mapping[str, str]  # environment

    @classmethod
    def of(cls, backend: BackendUrl, target: Path) -> _Dump:
        from ...store.postgres import Postgres

        conninfo, secrets = Postgres(backend.dsn).client()
        found = shutil.which("pg_dump")
        if found is None:
            password = "PGPASSWORD=... " if secrets else ""
            raise Failed(
                "pg_dump is not on the PATH: install PostgreSQL's client programs here, or run where they are:\n"
                f"    {password}{shlex.join(cls._arguments('pg_dump', str(target), conninfo))}"
            )
        return cls(program=found, conninfo=conninfo, secrets=secrets)

    @staticmethod
    def _arguments(program: str, file: str, conninfo: str) -> list[str]:
        return [program, "--format=custom", "--no-password", f"--file={file}", f"--dbname={conninfo}"]

    def run(self, part: Part, progress: Progress) -> None:
        """Fill the part. Raises Failed with what pg_dump says."""
        argv = self._arguments(self.program, str(part.path), self.conninfo)
        # The child keeps the descriptor, and with it the lock: killed alone, this process would leave it writing.
        with subprocess.Popen(
            argv,
            env=inherited_environ(self.secrets),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(part.descriptor,),
            text=True,
        ) as process:
            try:
                said = _followed(process, part, progress)
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            raise Failed(f"pg_dump failed: {said.strip() or f'exit code {process.returncode}'}{_hint(said)}")
        self._verify(part)

    def _verify(self, part: Part) -> None:
        """Have the copy's table of contents read, where pg_restore is at hand."""
        restore = Path(self.program).with_name("pg_restore")
        if not restore.exists():
            return
        read = subprocess.run([restore, "--list", part.path], capture_output=True, text=True, check=False)
        if read.returncode != 0:
            raise Failed(f"pg_restore cannot read the copy: {read.stderr.strip()}")


def _followed(process: subprocess.Popen[str], part: Part, progress: Progress) -> str:
    while True:
        try:
            return process.communicate(timeout=_LOOK_SECS)[1]
        except subprocess.TimeoutExpired:
            progress(f"pg_dump has written {size(os.fstat(part.descriptor).st_size)}")


def _hint(said: str) -> str:
    if "version mismatch" in said:
        return "\nInstall the client programs of the server's version, and put them first on the PATH"
    return ""
