"""A worker by the name of its app: the module is imported, the app in it is run."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .app import Assay
from .worker import WorkerOptions

if TYPE_CHECKING:
    from typing import Unpack

_PACKAGES = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_HERE = str(Path(__file__).parent)
_NOT_THE_USERS = ("<frozen ", _HERE, *_PACKAGES)  # what the files of others begin with


class BrokenModule(Exception):
    """The module of an app fails when it is imported: where in the user's code, with what error, and what to do."""


def main(target: str, **options: Unpack[WorkerOptions]) -> int:
    """Run a worker for the app named `module:attribute`; return the exit code. Raises as `load` does."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return load(target).run(**options)


def load(target: str) -> Assay:
    """Import the app named `module:attribute`.

    Raises ValueError with what is wrong with the name, BrokenModule with what is wrong with the module.
    """
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise ValueError(f"'{target}' does not name an app: write MODULE:APP, such as {module or 'hello'}:app")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        imported = importlib.import_module(module)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and (module == missing or module.startswith(missing + ".")):
            raise ValueError(f"there is no module '{module}' here or among the installed ones") from error
        if isinstance(error, ValueError) and _is_ours(error):  # it says of the surroundings what is wrong
            raise
        raise BrokenModule(_told(module, error)) from error
    app = getattr(imported, attribute, None)
    if app is None:
        raise ValueError(f"module '{module}' has no '{attribute}'")
    if not isinstance(app, Assay):
        raise ValueError(f"'{target}' is a {type(app).__name__}, not an Assay app")
    return app


def _told(module: str, error: Exception) -> str:
    own = "".join(traceback.format_list(list(_own(error))))
    said = "".join(traceback.format_exception_only(type(error), error))
    advice = "mend it and start the worker again"
    if isinstance(error, ModuleNotFoundError) and error.name:
        advice = f"install what brings '{error.name}' for {sys.executable}, or mend the import"
    return f"module '{module}' fails when it is imported: {advice}\n{own}{said}".rstrip()


def _is_ours(error: Exception) -> bool:
    return traceback.extract_tb(error.__traceback__)[-1].filename.startswith(_HERE)


def _own(error: Exception) -> Iterator[traceback.FrameSummary]:
    """Yield the frames of the user's own code: not of Python, of packages, or of this one."""
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(_NOT_THE_USERS):
            yield frame
