"""Task tokens: what is none is refused before anything is asked of the database."""

from __future__ import annotations

import pytest

from assay_wsgi.domain.errors import LeaseLost
from assay_wsgi.domain.tokens import ActivityToken
from assay_wsgi.domain.tokens import activity_token
from assay_wsgi.domain.tokens import hashed
from assay_wsgi.domain.tokens import read_activity_token
from assay_wsgi.domain.tokens import read_workflow_token
from assay_wsgi.domain.tokens import workflow_token

NEITHER = ["", ".", "w", "x.1.r", "w.1", "w.1.", "w..r", "a.1.r", "a.1.1", "a..1.r", "a.1..r", "a.1.2.3.4", "\0.\0.\0"]
NUMBERS = ["-1", "+1", "1e3", " 1", "1 ", "0x1", "\N{ARABIC-INDIC DIGIT ONE}", "\N{SUPERSCRIPT TWO}", "9" * 17]


def test_tokens_are_read_as_they_were_made() -> None:
    assert read_workflow_token(workflow_token(12, "ab")) == 12
    assert read_activity_token(activity_token(34, 5, "ab")) == ActivityToken(34, 5)
    assert hashed("a.1.1.x") != hashed("a.1.1.y")
    assert len(hashed("")) == 64


@pytest.mark.parametrize("text", [*NEITHER, *(f"w.{number}.r" for number in NUMBERS), "a.1.1.r"])
def test_what_is_no_workflow_token(text: str) -> None:
    with pytest.raises(LeaseLost):
        read_workflow_token(text)


@pytest.mark.parametrize("text", [*NEITHER, *(f"a.{number}.1.r" for number in NUMBERS), "a.1.x.r", "w.1.r"])
def test_what_is_no_activity_token(text: str) -> None:
    with pytest.raises(LeaseLost):
        read_activity_token(text)
