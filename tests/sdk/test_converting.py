"""Between JSON and declared types: what comes back, what does not fit, and how calls and inputs are bound."""

from __future__ import annotations

import datetime
import decimal
import enum
import threading
import uuid
import warnings
from collections import deque
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from types import MappingProxyType
from typing import Annotated
from typing import Any
from typing import Generic
from typing import Literal
from typing import NamedTuple
from typing import NewType
from typing import NotRequired
from typing import Required
from typing import TypedDict
from typing import TypeVar
from typing import Union

import pydantic
import pytest

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Misfit
from assay_wsgi.sdk.convert import decoder
from assay_wsgi.sdk.jsontext import dumps
from assay_wsgi.sdk.jsontext import loads
from assay_wsgi.sdk.jsontext import plain
from assay_wsgi.sdk.launch import load

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it is old, and says so
    from pydantic import v1 as pydantic1

T = TypeVar("T")
Sku = NewType("Sku", str)
AT = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Odd(enum.Enum):
    DAY = datetime.date(2026, 1, 1)
    PAIR = (1, 2)


class Code(str):
    def __new__(cls, text: str) -> Code:
        if not text.isupper():
            raise ValueError(f"{text} is not written in capitals")
        return super().__new__(cls, text)


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


@dataclass
class Box(Generic[T]):
    content: T
    more: list[T] = field(default_factory=list)


class Line(TypedDict):
    sku: str
    day: datetime.date
    note: NotRequired[Colour]


class Loose(TypedDict, total=False):
    id: Required[uuid.UUID]
    line: Line


class Point(NamedTuple):
    x: int
    day: datetime.date = datetime.date(2026, 1, 1)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    at: datetime.datetime
    parts: list[Leaf] = []
    kind: str = pydantic.Field(default="k", alias="type")


class OldModel(pydantic1.BaseModel):
    at: datetime.datetime
    count: int = pydantic1.Field(0, alias="n")


@dataclass
class Cat:
    kind: Literal["cat"]
    lives: int


@dataclass
class Dog:
    kind: Literal["dog"]
    tricks: list[str]


@dataclass
class Circle:
    radius: float


@dataclass
class Square:
    side: float
    colour: Colour = Colour.RED


@dataclass
class Positive:
    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError("n must be positive")


def read(kind: Any, value: Any) -> Any:
    decode = decoder(kind)
    assert decode is not None
    return decode(value)


def misfit(kind: Any, value: Any) -> str:
    with pytest.raises(Misfit) as caught:
        read(kind, value)
    return str(caught.value)


# ------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Tree([Leaf("a")], Leaf("b"), {"c": Leaf("c")}, (7, Leaf("d")), Tree([]), AT), Tree),
        ({"sku": "a", "day": AT.date(), "note": Colour.BLUE}, Line),
        ({"sku": "a", "day": AT.date()}, Line),
        ({"id": uuid.UUID(int=5), "line": {"sku": "a", "day": AT.date()}}, Loose),
        (Point(3, AT.date()), Point),
        ([Point(3)], list[Point]),
        (Model(at=AT, parts=[Leaf("a")], type="x"), Model),
        (OldModel(at=AT, n=3), OldModel),
        (Box(Leaf("a"), [Leaf("b")]), Box[Leaf]),
        ([Box(AT)], list[Box[datetime.datetime]]),
        (uuid.UUID(int=5), uuid.UUID),
        (decimal.Decimal("1.10"), decimal.Decimal),
        (datetime.timedelta(seconds=90.5), datetime.timedelta),
        (datetime.date(2026, 1, 2), datetime.date),
        (datetime.time(1, 2, 3), datetime.time),
        (b"\x00\xff", bytes),
        (Colour.RED, Colour),
        (Level.LOW, Level),
        ([Odd.DAY, Odd.PAIR], list[Odd]),
        ("a", Literal["a", 1, None]),
        ((1, 2), tuple[int, ...]),
        ((1, "a", None), tuple[int, str, None]),
        ({3, 1}, set[int]),
        (frozenset({"b"}), frozenset[str]),
        ([AT], Sequence[datetime.datetime]),
        ({"a": AT}, Mapping[str, datetime.datetime]),
        ({uuid.UUID(int=5): 1}, dict[uuid.UUID, int]),
        ([{Colour.RED: {1: "x"}}], list[dict[Colour, dict[int, str]]]),
        ({True: 1.5}, dict[bool, float]),
        ("a", Sku),
        (Code("A"), Code),
        (AT, Annotated[datetime.datetime, "when"]),
        (None, Union[Leaf, None]),
        (5.0, float),
        (2**70, int),
    ],
    ids=lambda each: repr(each)[:40],
)
def test_what_was_declared_comes_back_as_it_was(value: Any, kind: Any) -> None:
    found = read(kind, loads(dumps(value)))

    assert found == value
    assert found.__class__ is value.__class__


def test_what_other_languages_write_is_read_too() -> None:
    assert read(datetime.datetime, "2026-03-01T12:00:00Z") == AT
    assert read(datetime.datetime, "2026-03-01T12:00:00.5Z").microsecond == 500_000
    assert read(int, 5.0) == 5
    assert isinstance(read(int, 5.0), int)
    assert isinstance(read(float, 5), float)
    assert read(decimal.Decimal, 1.1) == decimal.Decimal("1.1")
    assert read(Point, {"x": 3}) == Point(3)


def test_what_a_newer_sender_adds_is_ignored_or_kept() -> None:
    assert read(Leaf, {"name": "a", "size": 5}) == Leaf("a")
    assert read(Line, {"sku": "a", "day": "2026-01-02", "size": 5})["size"] == 5


@pytest.mark.parametrize("kind", [Any, object, None, "Unknown", T])
def test_of_what_nothing_is_known_nothing_is_asked(kind: Any) -> None:
    assert decoder(kind) is None


def test_a_set_is_written_in_the_same_order_by_every_process() -> None:
    assert dumps({"b", "a", "c"}) == b'["a","b","c"]'
    assert dumps({10, 9, 1.5}) == b"[1.5,9,10]"
    assert dumps({(2, "x"), (1, "y")}) == b'[[1,"y"],[2,"x"]]'


def test_mappings_and_queues_are_written_as_what_they_are_like() -> None:
    assert plain([MappingProxyType({"a": 1}), deque([1, 2])]) == [{"a": 1}, [1, 2]]


# ------------------------------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (Tree, {"leaves": [{"name": "a"}, {"name": 5}]}, "leaves[1].name: needs a string, not 5"),
        (Tree, {"leaves": [], "by_name": {"a b": {}}}, 'by_name["a b"].name: is missing'),
        (Tree, {"leaves": [], "pair": [1]}, "pair: needs a list of 2, not of 1"),
        (Tree, {"leaves": [], "next": {"leaves": None}}, "next.leaves: needs a list, not null"),
        (Tree, {"leaves": [], "at": "soon"}, 'at: needs an ISO 8601 date and time, not "soon"'),
        (Leaf, {"name": "a", "colour": "grey"}, 'colour: needs one of "red", "blue", not "grey"'),
        (Leaf, [1], "needs an object (Leaf), not a list"),
        (Line, {"sku": "a"}, "day: is missing"),
        (Loose, {"line": {}}, "id: is missing"),
        (Loose, {"id": "x"}, 'id: needs a UUID, not "x"'),
        (Point, [1, "2026-01-01", 3], "needs a list of 2 (Point), not of 3"),
        (Point, ["1"], 'x: needs a whole number, not "1"'),
        (Positive, {"n": 0}, "is no Positive: ValueError: n must be positive"),
        (Model, {"at": "x"}, "at: Input should be a valid datetime"),
        (Model, {"at": AT.isoformat(), "parts": [{"name": 1}]}, "parts[0].name: Input should be a valid string"),
        (OldModel, {}, "at: field required"),
        (int, True, "needs a whole number, not true"),
        (int, 5.5, "needs a whole number, not 5.5"),
        (bool, 1, "needs true or false, not 1"),
        (float, 10**400, "needs a number, not "),
        (str, "x" * 100 and None, "needs a string, not null"),
        (bytes, "a", "needs bytes as base64"),
        (decimal.Decimal, "ten", "needs a decimal number"),
        (datetime.timedelta, 1e300, "needs seconds"),
        (Literal[1], True, "needs one of 1, not true"),
        (set[Any], [[1]], "cannot be a set: unhashable type: 'list'"),
        (dict[int, str], {"x": "a"}, '["x"]: needs a whole number, not "x"'),
        (Code, "abc", "abc is not written in capitals"),
        (Box[int], {"content": "a"}, 'content: needs a whole number, not "a"'),
        (threading.Thread, {}, "Thread cannot be made of JSON: use a dataclass"),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_what_does_not_fit_is_told_with_its_place(kind: Any, value: Any, says: str) -> None:
    assert misfit(kind, value).startswith(says)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), [float("nan")], "\udc00", {object()}, object(), {(1,): 2}]
)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        plain(value)


# ------------------------------------------------------------------------------------- unions


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        (Union[Cat, Dog], {"kind": "dog", "tricks": []}, Dog("dog", [])),
        (list[Union[Cat, Dog, None]], [None, {"kind": "cat", "lives": 9}], [None, Cat("cat", 9)]),
        (Union[Circle, Square], {"side": 2}, Square(2.0)),
        (Union[int, str, None], "5", "5"),
        (Union[int, float], 5, 5),
        (Union[int, float], 5.5, 5.5),
        (Union[bool, int], True, True),
        (Union[str, list[str]], ["a"], ["a"]),
        (Union[list[int], list[str]], [], []),
        (Union[list[int], list[str]], ["a"], ["a"]),
        (Union[Colour, int], "red", Colour.RED),
        (Union[Literal["auto"], datetime.datetime], "auto", "auto"),
        (Union[Literal["auto"], datetime.datetime], AT.isoformat(), AT),
        (Union[datetime.date, int], 7, 7),
        (Union[Any, int], "x", "x"),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_the_arms_of_a_union_are_told_apart_where_json_allows_it(kind: Any, value: Any, found: Any) -> None:
    decode = decoder(kind)

    got = decode(value) if decode else value

    assert (got, got.__class__) == (found, found.__class__)


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (
            Union[datetime.datetime, str],
            "hello",
            "is a string in JSON whether it is an ISO 8601 date and time and a string: they cannot be told apart",
        ),
        (
            Union[list[int], set[int]],
            [],
            "is a list in JSON whether it is a list and a list (as a set): they cannot be told apart",
        ),
        (Union[Leaf, dict[str, Any]], {"name": "a"}, "is an object in JSON whether"),
        (
            Union[Leaf, Code, Positive],
            {"name": "a", "n": 1},
            "could be an object (Leaf) or an object (Positive): give each a member whose Literal type",
        ),
        (Union[int, None], "5", 'needs a whole number or null, not "5"'),
        (
            Union[Cat, Dog],
            {"kind": "cow", "lives": 1, "tricks": []},
            'fits none of them (an object (Cat): kind: needs one of "cat", not "cow"; an object (Dog): kind: needs',
        ),
        (dict[str, Union[int, None]], {"a": "x"}, '["a"]: needs a whole number or null'),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_where_json_does_not_allow_it_the_error_says_so(kind: Any, value: Any, says: str) -> None:
    assert misfit(kind, value).startswith(says)


# ------------------------------------------------------------------------------------- binding


def test_plain_is_a_copy_as_json_would_give_it_back() -> None:
    value = {1: (2, 3), "big": 2**70}
    copy = plain(value)

    assert copy == {"1": [2, 3], "big": 2**70}
    value.clear()
    assert copy


def test_inputs_are_read_with_the_parameters_name_in_front() -> None:
    app = Assay()

    @app.workflow
    def ship(ctx: Context, tree: Tree) -> Leaf: ...

    @app.activity
    def label(sku: str, leaf: Leaf, count: int = 1) -> None: ...

    with pytest.raises(Misfit, match=r"^tree\.leaves\[0\]\.name: is missing$"):
        ship.binding.unpack({"leaves": [{}]})
    with pytest.raises(Misfit, match=r"^leaf\.name: needs a string, not 1$"):
        label.binding.unpack({"sku": "a", "leaf": {"name": 1}})
    with pytest.raises(Misfit, match=r"^leaf: is missing$"):
        label.binding.unpack({"sku": "a"})
    with pytest.raises(Misfit, match=r"^there is no parameter cuont, only sku, leaf, count$"):
        label.binding.unpack({"sku": "a", "leaf": {"name": "b"}, "cuont": 2})
    with pytest.raises(Misfit, match=r"^the input must be an object with sku, leaf, count, not a list$"):
        label.binding.unpack([1])
    with pytest.raises(Misfit, match=r"^result of ship: needs an object \(Leaf\), not 5$"):
        ship.decode_result(5)


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


def test_true_is_no_member_of_an_enum_of_numbers() -> None:
    class Level(enum.IntEnum):
        LOW = 0
        HIGH = 1

    read = decoder(Level)

    assert read is not None
    assert read(1) is Level.HIGH
    with pytest.raises(Misfit):
        read(True)


def test_two_members_that_are_one_name_are_no_object() -> None:
    read = decoder(dict[int, str])

    assert read is not None
    with pytest.raises(Misfit, match="there twice"):
        read({"1": "a", "1.0": "b"})
