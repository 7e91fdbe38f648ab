"""Write the rendered pages below the directory that is named."""

from __future__ import annotations

import sys
from pathlib import Path

from . import PAGES

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m assay_wsgi.reference docs")
    for path, rendered in PAGES.items():
        (Path(sys.argv[1]) / path).write_text(rendered(), encoding="utf-8")
