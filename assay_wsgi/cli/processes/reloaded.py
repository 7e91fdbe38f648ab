"""The worker's side of `--reload`: it names the files that it has imported, and ends when its parent is gone."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LOOK_SECS = 0.3  # code may import something at any time


class Reporter:
    """Tells the parent about files, over the socket that it handed on."""

    def __init__(self, fd: int) -> None:
        self._parent = socket.socket(fileno=fd)
        self._told: set[str] = set()
        self._lock = threading.Lock()
        for duty in (self._follow, self._listen):
            threading.Thread(target=duty, name="assay-reload", daemon=True).start()

    def failed(self, error: BaseException) -> None:
        """Name the files that a failure to import has to do with, those that are not there too."""
        self._tell([*imported(), *blamed(error)])

    def _follow(self) -> None:
        while True:
            self._tell(imported())
            time.sleep(_LOOK_SECS)

    def _listen(self) -> None:
        with suppress(OSError):
            self._parent.recv(1)  # nothing is ever sent: this is the parent's end
        os.kill(os.getpid(), signal.SIGTERM)

    def _tell(self, files: Iterable[str]) -> None:
        with self._lock:
            new = set(files) - self._told
            self._told |= new
            if new:
                with suppress(OSError):
                    self._parent.sendall(b"".join(os.fsencode(path) + b"\n" for path in sorted(new)))


def imported() -> set[str]:
    """Name the Python files of all modules that are imported."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {os.path.abspath(file) for file in files if isinstance(file, str) and file.endswith(".py")}


def blamed(error: BaseException) -> Iterator[str]:
    """Name the files in which an import failed, and those whose coming would mend it."""
    seen: BaseException | None = error
    while seen is not None:
        trace = seen.__traceback__
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            if not file.startswith("<"):
                yield os.path.abspath(file)
            trace = trace.tb_next
        if isinstance(seen, SyntaxError) and seen.filename:
            yield os.path.abspath(seen.filename)
        if isinstance(seen, ModuleNotFoundError) and seen.name:
            place = Path.cwd().joinpath(*seen.name.split("."))
            yield f"{place}.py"
            yield str(place / "__init__.py")
        seen = seen.__cause__ or seen.__context__
