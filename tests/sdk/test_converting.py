"""Between JSON and declared types, and how calls and inputs are bound."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import pytest

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk.app import load
from assay_wsgi.sdk.convert import decoder
from assay_wsgi.sdk.jsontext import dumps
from assay_wsgi.sdk.jsontext import loads
from assay_wsgi.sdk.jsontext import plain


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Leaf:
    name: str
    colour: Colour = Colour.RED


@dataclass
class Tree:
    leaves: list[Leaf]
    best: Leaf | None = None
    by_name: dict[str, Leaf] = field(default_factory=dict)
    pair: tuple[int, Leaf] = (0, Leaf("none"))
    next: Tree | None = None
    at: datetime.datetime | None = None


def test_nested_dataclasses_come_back_as_they_were() -> None:
    at = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
    tree = Tree([Leaf("a")], Leaf("b"), {"c": Leaf("c")}, (7, Leaf("d")), Tree([]), at)

    decode = decoder(Tree)

    assert decode is not None
    assert decode(loads(dumps(tree))) == tree


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (uuid.UUID(int=5), uuid.UUID),
        (decimal.Decimal("1.10"), decimal.Decimal),
        (datetime.timedelta(seconds=90), datetime.timedelta),
        (datetime.date(2026, 1, 2), datetime.date),
        (Colour.RED, Colour),
        ((1, 2), tuple[int, ...]),
    ],
)
def test_common_types_come_back_as_they_were(value: Any, kind: Any) -> None:
    decode = decoder(kind)

    assert decode is not None
    assert decode(loads(dumps(value))) == value


@pytest.mark.parametrize("kind", [Any, str, int, dict, list, list[int], dict[str, Any], None, "Unknown"])
def test_what_is_json_already_is_not_touched(kind: Any) -> None:
    value = {"a": [1]}
    decode = decoder(kind)

    assert (decode(value) if decode else value) == value or decode is not None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("nan")], "\udc00", {1}, object(), b"x"])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        plain(value)


def test_plain_is_a_copy_as_json_would_give_it_back() -> None:
    value = {1: (2, 3), "big": 2**70}
    copy = plain(value)

    assert copy == {"1": [2, 3], "big": 2**70}
    value.clear()
    assert copy


def test_arguments_are_packed_as_the_activity_names_them() -> None:
    app = Assay()

    @app.activity
    def none() -> None: ...

    @app.activity
    def one(sku: str = "x") -> None: ...

    @app.activity
    def two(sku: str, count: int = 1) -> None: ...

    @app.activity
    def more(sku: str, **rest: Any) -> None: ...

    assert none.binding.pack((), {}) is None
    assert one.binding.pack(("a",), {}) == "a"
    assert one.binding.pack((), {"sku": "a"}) == "a"
    assert one.binding.pack((), {}) == "x"
    assert two.binding.pack(("a", 2), {}) == {"sku": "a", "count": 2}
    assert two.binding.pack(("a",), {}) == {"sku": "a"}
    assert more.binding.pack(("a",), {"b": 1}) == {"sku": "a", "b": 1}
    with pytest.raises(TypeError):
        two.binding.pack(("a", 2, 3), {})


def test_definitions_that_cannot_be_bound_are_refused_at_once() -> None:
    app = Assay()

    with pytest.raises(TypeError, match="cannot be bound by name"):

        @app.activity
        def scattered(*items: int) -> None: ...

    with pytest.raises(TypeError, match="plain synchronous functions"):

        @app.workflow
        async def modern(ctx: Context) -> None: ...

    with pytest.raises(TypeError, match="takes the context"):

        @app.workflow
        def lonely() -> None: ...

    @app.activity(name="same")
    def first() -> None: ...

    with pytest.raises(ValueError, match="registered already"):

        @app.activity(name="same")
        def second() -> None: ...


def test_an_app_takes_from_the_environment_what_it_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_ENGINE_URL", "http://engine:1")
    monkeypatch.setenv("ASSAY_API_KEY", "k")
    monkeypatch.setenv("ASSAY_NAMESPACE", "ns")
    monkeypatch.setenv("ASSAY_QUEUE", "q")

    app, other = Assay(), Assay(queue="mine")

    assert (app.url, app.token, app.namespace, app.queue) == ("http://engine:1", "k", "ns", "q")
    assert other.queue == "mine"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("hello", "MODULE:APP"),
        ("no_such_module_here:app", "no module 'no_such_module_here'"),
        ("json:app", "has no 'app'"),
        ("json:dumps", "not an Assay app"),
    ],
)
def test_a_target_that_is_no_app_is_explained(target: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load(target)
