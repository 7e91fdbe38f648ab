"""What is looked at of a SQLite file: its place, its journal, its settings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ..connection import Connection
from . import both
from .finding import Check

_LEAST_ROOM = 256 * 2**20  # bytes
_LARGE_JOURNAL = 4 * 64 * 2**20  # bytes; writers cut it down to 64 MiB when nobody reads an old snapshot
_MOUNTS = Path("/proc/self/mountinfo")
_OVER_A_NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ocfs2",
    "virtiofs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.goofys",
)  # fmt: skip


def checks(path: str) -> list[Check]:
    """Give the checks for a file."""
    file = Path(path).resolve()
    return [
        Check("schema", "the schema is this build's", partial(both.wrong_schema, name="sqlite")),
        Check("rights", "this user may write the file, what lies beside it, and the directory", partial(_rights, file)),
        Check("file-system", "the file is on a disk of this host", partial(_file_system, file, _MOUNTS)),
        Check("journal-mode", "the journal is a write-ahead log, which our writers sync at each commit", _journal_mode),
        Check("journal-size", "the journal is not held by an old reader", partial(_journal_size, file)),
        Check("disk-room", "there is room on the disk", partial(_disk_room, file)),
        Check("indexes", "no index is missing", _indexes),
        Check("clock", "nothing was written in the future", both.future_notices),
        Check("schedules", "every schedule can be worked on", both.failing_schedules),
    ]


def _rights(file: Path, _db: Connection) -> Iterator[tuple[str, str]]:
    beside = [file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm")]
    for path in beside:
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            yield f"user {os.geteuid()} may not write {path}", f"Run as its owner, or: chown {os.geteuid()} {path}"
    for path in (file.with_name(file.name + suffix) for suffix in (".next", ".now")):
        if path.exists() and not os.access(path, os.R_OK):
            yield f"user {os.geteuid()} may not open the lock {path}", f"chmod a+r {path}"
    if not os.access(file.parent, os.W_OK | os.X_OK):
        yield (
            f"user {os.geteuid()} may not make files in {file.parent}, where the journal has to lie",
            f"chown {os.geteuid()} {file.parent}",
        )


def _file_system(file: Path, mounts: Path, _db: Connection) -> Iterator[tuple[str, str]]:
    kind = file_system_of(file, mounts.read_text(encoding="utf-8", errors="replace") if mounts.exists() else "")
    if kind in _OVER_A_NETWORK:
        yield (
            f"the file lies on {kind}, where locks of two hosts, or of two processes, may not hold",
            "Move it to a disk of this host, or use PostgreSQL",
        )


def file_system_of(file: Path, mountinfo: str) -> str | None:
    """Say which kind of file system a file is on, by the text of /proc/self/mountinfo; None where it is not told."""
    found: tuple[int, str] | None = None
    for line in mountinfo.splitlines():
        mounted, _, source = line.partition(" - ")
        point = Path(mounted.split(" ")[4].encode().decode("unicode_escape"))
        if file.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), source.split(" ")[0]
    return None if found is None else found[1]


def _journal_mode(db: Connection) -> Iterator[tuple[str, str]]:
    mode = db.one("PRAGMA journal_mode")[0]
    if mode != "wal":
        yield (
            f"journal_mode is {mode}: readers and the writer keep each other waiting",
            "Start `assay serve`, which sets it to wal, and find out who set it otherwise",
        )


def _journal_size(file: Path, _db: Connection) -> Iterator[tuple[str, str]]:
    journal = file.with_name(file.name + "-wal")
    size = journal.stat().st_size if journal.exists() else 0
    if size > _LARGE_JOURNAL:
        yield (
            f"the journal has {size // 2**20} MiB: somebody has been reading an old snapshot for long",
            f"See who has the file open (lsof {file}) and end long backups and forgotten shells",
        )


def _disk_room(file: Path, db: Connection) -> Iterator[tuple[str, str]]:
    free = shutil.disk_usage(file.parent).free
    wanted = max(_LEAST_ROOM, db.dialect.server(db).bytes // 10)
    if free < wanted:
        yield (
            f"{free // 2**20} MiB are free on the disk of {file.parent}",
            f"Make room: at least {wanted // 2**20} MiB. On a full disk nothing is accepted any more",
        )


def _indexes(db: Connection) -> Iterator[tuple[str, str]]:
    there = {name for (name,) in db.rows("SELECT name FROM sqlite_master WHERE type = 'index'")}
    for name, statement in both.indexes("sqlite").items():
        if name not in there:
            yield f"the index {name} is missing", f"{statement};"
