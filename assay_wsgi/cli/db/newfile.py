"""A file that appears under its name whole and for good, or not at all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Part:
    """What is to become the file. It is locked for as long as somebody has the descriptor."""

    path: Path
    descriptor: int


@contextmanager
def appearing(target: Path, *, mode: int, replace: bool) -> Iterator[Part]:
    """Lend `<target>.part` to be filled; afterwards it is on disk under the target's name.

    What a killed predecessor left of it is used again. Raises FileExistsError where the target is there and
    is not to be replaced, BlockingIOError where somebody else is filling the same file, and OSError.
    """
    part = _claimed(target.with_name(target.name + ".part"), mode)
    try:
        yield part
        os.fsync(part.descriptor)
        (os.replace if replace else _rename_to_a_free_name)(part.path, target)
        _sync_directory(target.parent)
    except BaseException:
        part.path.unlink(missing_ok=True)
        raise
    finally:
        os.close(part.descriptor)


def _claimed(path: Path, mode: int) -> Part:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.fchmod(descriptor, mode)
                return Part(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its predecessor has just got its name: that file must not be touched


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _rename_to_a_free_name(part: Path, target: Path) -> None:
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        if target.exists():
            raise FileExistsError(target) from None
        os.replace(part, target)
    else:
        os.unlink(part)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
