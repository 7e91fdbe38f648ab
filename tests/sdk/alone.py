"""What the SDK does where only it and `requests` are at home: test_alone.py runs this. Written for Python 3.9."""

from __future__ import annotations

import enum
import importlib
import importlib.util
import pkgutil
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from datetime import datetime
from datetime import timezone
from pathlib import Path
from typing import Any
from typing import NamedTuple
from typing import TypedDict

import assay_wsgi.sdk
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Misfit
from assay_wsgi.sdk import Retry
from assay_wsgi.sdk.convert import decoder
from assay_wsgi.sdk.history import History
from assay_wsgi.sdk.info import RunInfo
from assay_wsgi.sdk.jsontext import dumps
from assay_wsgi.sdk.jsontext import loads
from assay_wsgi.sdk.replay import replay

SERVER = ("flask", "peewee", "marshmallow", "click", "orjson", "gunicorn", "apscheduler", "pydantic")

app = Assay()


class Tone(enum.Enum):
    LOUD = "loud"


class Details(TypedDict, total=False):
    day: date
    key: uuid.UUID


class Pair(NamedTuple):
    left: int
    right: str | None = None


@dataclass
class Who:
    who: str
    tone: Tone = Tone.LOUD
    details: Details | None = None
    pairs: list[Pair] | None = None
    at: datetime | None = None


@app.activity(retry=Retry(max_attempts=2), timeout=5)
def greet(who: str) -> str:
    return f"hello, {who}"


@app.workflow(name="Hello")
def Hello(ctx: Context, who: Who) -> str:
    return ctx.execute_activity(greet, who.who)


def every_module_is_imported() -> None:
    for found in pkgutil.iter_modules(assay_wsgi.sdk.__path__):
        importlib.import_module(f"assay_wsgi.sdk.{found.name}")
    assert [name for name in SERVER if name in sys.modules or importlib.util.find_spec(name)] == []


def a_hello_is_replayed() -> None:
    history = History()
    history.extend(
        [
            {"seq": 1, "event_type": "WorkflowStarted", "payload": {"who": "Ada"}, "timestamp": 1.0},
            {
                "seq": 2,
                "event_type": "ActivityScheduled",
                "payload": {"activity_seq": 1, "name": "greet"},
                "timestamp": 1.0,
            },
            {
                "seq": 3,
                "event_type": "ActivityCompleted",
                "payload": {"activity_seq": 1, "name": "greet", "result": "hello, Ada"},
                "timestamp": 2.0,
            },
        ]
    )
    turn = replay(app.workflows["Hello"], RunInfo("h", "r", "Hello", "main", "default"), history, app.activities)

    assert turn.commands == [{"type": "CompleteWorkflow", "result": "hello, Ada"}], turn


def a_worker_says_hello() -> None:
    spec = importlib.util.spec_from_file_location("service", Path(__file__).with_name("service.py"))
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    service = module.Service()
    with app.worker(connect=service.connect):
        run = service.until_closed(service.start("Hello", "h1", {"who": "Ada"}))
        service.shut()
    assert run.result == "hello, Ada"


def declared_types_come_back() -> None:
    who = Who("Ada", Tone.LOUD, {"day": date(2026, 1, 2)}, [Pair(1, "x")], datetime(2026, 1, 2, tzinfo=timezone.utc))
    read = decoder(Who)
    assert read is not None
    assert read(loads(dumps(who))) == who
    assert read({"who": "Ada", "at": "2026-01-02T03:04:05.5Z"}).at.microsecond == 500_000
    assert told(read, {"who": "Ada", "pairs": [[1, 2]]}) == "pairs[0].right: needs a string or null, not 2"


def told(read: Callable[[Any], Any], value: Any) -> str:
    try:
        return f"{read(value)} was taken"
    except Misfit as error:
        return str(error)


for story in (every_module_is_imported, a_hello_is_replayed, a_worker_says_hello, declared_types_come_back):
    story()
