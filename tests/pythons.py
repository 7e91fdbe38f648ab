"""Other Pythons of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def python_3_9() -> str | None:
    """A Python 3.9 that runs, on the PATH or among pyenv's; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which("python3.9"), *(str(path) for path in sorted(pyenv.glob("versions/3.9.*/bin/python")))]
    return next((path for path in found if path and _is_3_9(path)), None)


def _is_3_9(path: str) -> bool:
    # A shim of pyenv's is on the PATH for versions that are not there, too.
    done = subprocess.run(
        [path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and done.stdout.split() == ["3", "9"]
