"""Another process with a door of its own: it says of each key that it reads whether it lets its bearer in."""

from __future__ import annotations

import sys

from assay_wsgi.auth.door import Door
from assay_wsgi.domain.errors import Unauthorized
from assay_wsgi.engine import Engine
from tests.auth.scenes import KEYED

if __name__ == "__main__":
    engine = Engine.open(sys.argv[1])
    door = Door.of(KEYED, engine.store)
    for line in sys.stdin:
        try:
            said = door.admit(line.strip(), address="").name
        except Unauthorized:
            said = "refused"
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()
    engine.close()
