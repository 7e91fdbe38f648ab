"""The reference page says what the commands say."""

from __future__ import annotations

from pathlib import Path

from assay_wsgi.cli.reference import rendered

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "cli.md"


def test_the_reference_page_is_what_the_commands_say():
    assert PAGE.read_text(encoding="utf-8") == rendered(), "python -m assay_wsgi.cli.reference > docs/reference/cli.md"
