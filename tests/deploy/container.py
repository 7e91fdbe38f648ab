"""Running a command as a container would: a root that is read-only, no capabilities, no HOME, the image's environment.

There is no container engine where the tests run; a mount namespace of our own is what an engine would make, too.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

DOCKER = Path(__file__).parent.parent.parent / "deploy" / "docker"

_LOCKED = """
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro /
shift
cd /
exec setpriv --bounding-set="-all$CAPABILITIES" --inh-caps=-all --no-new-privs "$@"
"""


@cache
def _may_unshare() -> bool:
    try:
        probe = "mount -o remount,bind,ro / && setpriv --bounding-set=-all --inh-caps=-all true"
        return subprocess.run(["unshare", "--mount", "sh", "-ec", probe], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


needs_namespaces = pytest.mark.skipif(not _may_unshare(), reason="no mount namespace can be made here")


class Image:
    """What a Dockerfile's last stage says of how to run it."""

    def __init__(self, dockerfile: Path = DOCKER / "Dockerfile") -> None:
        text = re.sub(r"^#.*\n", "", dockerfile.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
        stage = text.rpartition("\nFROM ")[2]
        self.lines = [line.split(maxsplit=1) for line in stage.splitlines()[1:] if line.strip()]
        self.environ = dict(pair.split("=", 1) for pair in shlex.split(self._said("ENV")))
        self.entrypoint: list[str] = json.loads(self._said("ENTRYPOINT"))
        self.command: list[str] = json.loads(self._said("CMD"))
        self.healthcheck: list[str] = json.loads(self._said("HEALTHCHECK").partition(" CMD ")[2])
        self.user = self._said("USER")

    def _said(self, instruction: str) -> str:
        found = [rest for name, rest in self.lines if name == instruction]
        assert len(found) == 1, f"{instruction}: {found}"
        return found[0]


def contained(writable: Path, command: list[str], environ: Mapping[str, str], *, capabilities: str = "") -> list[str]:
    """The arguments that run `assay ...` with nothing to write to but one directory."""
    assert command[0] == "assay"
    given = {**environ, "TMPDIR": str(writable)}
    return [
        "env", f"CAPABILITIES={capabilities}", "unshare", "--mount", "sh", "-c", _LOCKED, "sh", str(writable),
        "env", "--ignore-environment", *(f"{name}={value}" for name, value in given.items()),
        sys.executable, "-m", "assay_wsgi", *command[1:],
    ]  # fmt: skip
