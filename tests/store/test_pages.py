"""A page holds as many rows as were asked for, or as many as fit into it; nothing is lost between two."""

from __future__ import annotations

import pytest

from assay_wsgi.store import pages

Row = tuple[int, int]  # number, bytes


class Shelf:
    """Rows in order, and how many were fetched at a time."""

    def __init__(self, *sizes: int) -> None:
        self.rows = list(enumerate(sizes))
        self.asked: list[int] = []

    def fetch(self, last: Row | None, count: int) -> list[Row]:
        self.asked.append(count)
        first = 0 if last is None else last[0] + 1
        return self.rows[first : first + count]

    def page(self, limit: int, after: int | None = None) -> tuple[list[int], bool]:
        def fetch(last: Row | None, count: int) -> list[Row]:
            return self.fetch(self.rows[after] if last is None and after is not None else last, count)

        found, more = pages.filled(fetch, lambda row: row[1], limit)
        return [number for number, _ in found], more


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 100)
    monkeypatch.setattr(pages, "FIRST_PIECE", 4)


def test_no_rows_are_an_empty_page() -> None:
    assert Shelf().page(10) == ([], False)


def test_as_many_rows_as_were_asked_for() -> None:
    shelf = Shelf(*[1] * 5)

    assert shelf.page(3) == ([0, 1, 2], True)
    assert shelf.page(5) == ([0, 1, 2, 3, 4], False)
    assert shelf.page(6) == ([0, 1, 2, 3, 4], False)


def test_as_many_rows_as_fit() -> None:
    assert Shelf(40, 40, 20).page(10) == ([0, 1, 2], False)
    assert Shelf(40, 40, 21).page(10) == ([0, 1], True)
    assert Shelf(100, 1).page(10) == ([0], True)


def test_a_row_that_fits_nowhere_has_a_page_of_its_own() -> None:
    shelf = Shelf(500, 500)

    assert shelf.page(10) == ([0], True)
    assert shelf.page(10, after=0) == ([1], False)


def test_empty_rows_are_rows() -> None:
    assert Shelf(0, 0, 0, 0, 0, 0).page(10) == ([0, 1, 2, 3, 4, 5], False)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_pages_one_after_the_other_are_all_rows(limit: int) -> None:
    sizes = [(number * 37) % 61 for number in range(40)] + [250, 0, 99, 1, 1]
    shelf = Shelf(*sizes)
    seen: list[int] = []

    more = True
    while more:
        page, more = shelf.page(limit, after=seen[-1] if seen else None)
        assert 0 < len(page) <= limit
        assert len(page) == 1 or sum(sizes[number] for number in page) <= 100
        seen += page

    assert seen == list(range(45))


def test_pieces_are_as_large_as_the_rows_seen_so_far_allow() -> None:
    shelf = Shelf(*[10] * 30)

    assert shelf.page(30) == (list(range(10)), True)
    assert shelf.asked == [4, 6, 1]


def test_sizes_are_bytes_not_characters() -> None:
    assert pages.size_of("abc", None, "") == 3
    assert pages.size_of("ü", "\U0001f600", "a") == 7
