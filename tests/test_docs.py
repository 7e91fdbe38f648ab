"""What the documents say is so: the settings, the make targets, the links, and every block, which is played."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from assay_wsgi import reference
from assay_wsgi import settings
from tests.documents import HOW
from tests.documents import ROOT
from tests.documents import SHOWN
from tests.documents import Document
from tests.documents import documents
from tests.documents import stage

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCUMENTS = documents()
PLAYED = [document for document in DOCUMENTS if document.played]

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)


def test_the_settings_page_is_what_the_code_says():
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")

    assert page == settings.rendered(), "run: python -m assay_wsgi.settings > docs/reference/settings.md"


@pytest.mark.parametrize("path", reference.PAGES)
def test_a_rendered_page_is_what_the_code_says(path: str):
    page = (ROOT / "docs" / path).read_text(encoding="utf-8")

    assert page == reference.PAGES[path](), "run: python -m assay_wsgi.reference docs"


@each_document
def test_every_setting_that_is_named_anywhere_is_one(document: Document):
    known = {declared.env for _, _, declared, _ in settings.declarations()} | settings.FOREIGN_NAMES
    named = set(re.findall(r"\bASSAY_[A-Z_]+\b(?!\*)", document.text))

    assert {name for name in named - known if not name.startswith(settings.FOREIGN_PREFIXES)} == set()


def test_help_lists_every_target_and_every_target_listed_exists():
    listed = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, flags=re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)[0].split())
    promised = {"help", "setup", "serve", "sidecar", "test", "lint", "types"}
    promised |= {"test-slow", "fuzz", "bench", "bench-scale", "demo", "examples", "storm", "fsck", "migrate", "clean"}
    promised |= {"db-status", "backup", "sdk-wheel"}

    assert listed == phony == promised


def test_make_alone_is_help():
    done = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)

    assert "make serve     Run the service at http://127.0.0.1:8080" in done.stdout


def test_the_readme_names_every_target_that_an_operator_needs():
    named = set(re.findall(r"`make ([a-z-]+)", README))

    assert named == set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, flags=re.MULTILINE)) - {"help"}


@each_document
def test_links_lead_somewhere(document: Document):
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", document.text)

    assert [link for link in links if not (document.path.parent / link).exists()] == []


@each_document
def test_every_block_says_what_is_done_with_it(document: Document):
    silent = [
        block.text
        for block in document.blocks
        if not HOW.fullmatch(block.how) and (block.how or block.language not in SHOWN)
    ]

    assert silent == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="the documents speak curl, and there is none here")
@pytest.mark.parametrize("document", PLAYED, ids=lambda document: document.name)
def test_a_document_does_what_it_says_from_its_first_block_to_its_last(document: Document, tmp_path: Path):
    with stage(tmp_path) as clone:
        for block in document.played:
            clone.play(block)


@each_document
def test_every_test_that_is_named_is_there(document: Document):
    named = re.findall(r"\b(tests/[\w/]+\.py)::(\w+)", document.text)

    assert [
        f"{path}::{name}"
        for path, name in named
        if not re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
    ] == []
