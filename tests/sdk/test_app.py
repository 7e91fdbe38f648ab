"""The app: what it takes from its surroundings, what it includes, and how it works inside another program."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk.__main__ import command
from assay_wsgi.sdk.transport import Connection
from tests.sdk.network import Network
from tests.sdk.service import Service


def shop() -> Assay:
    app = Assay(queue="shop")

    @app.activity
    def greet(who: str) -> str:
        return f"hello, {who}"

    @app.workflow
    def Hello(ctx: Context, who: str) -> str:
        return ctx.execute_activity(greet, who)

    return app


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.shut()


# ------------------------------------------------------------------------------------- its key


def test_the_key_is_read_from_a_file_and_trimmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("  secret\n")
    monkeypatch.setenv("ASSAY_API_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("ASSAY_API_KEY", "of the environment")

    assert Assay().token == "secret"
    assert Assay(token="mine").token == "mine"


def test_a_key_file_is_read_again_when_it_has_changed_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    monkeypatch.setenv("ASSAY_API_KEY_FILE", str(file))
    app = Assay()
    assert app.token == "first"

    other = tmp_path / "next"
    other.write_text("second")
    other.replace(file)
    assert app.token == "second"

    file.unlink()
    assert app.token == "second"
    file.write_text(" ")
    assert [app.token, app.token] == ["second", "second"]
    told = [record.getMessage() for record in caplog.records if record.name.endswith("surroundings")]
    assert told == [f"ASSAY_API_KEY_FILE names {file}, which holds no key: the key that was there before is used"]

    file.write_text("third")
    assert app.token == "third"


def test_each_request_brings_the_key_that_is_good_then() -> None:
    network, keys = Network(), iter(["first", "second"])
    session = requests.Session()
    session.mount("http://", network)
    connection = Connection("http://engine:8080", lambda: next(keys), session)
    network.answers({}, {})

    connection.call("GET", "/health")
    connection.call("GET", "/health")

    assert [request.headers["Authorization"] for request in network.sent] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "cannot be read: it is no text"),
        (b" \n", "holds no key"),
        (b"one\ntwo\n", "holds more than a key"),
    ],
)
def test_a_key_file_that_holds_no_key_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, says: str
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("ASSAY_API_KEY_FILE", str(file))

    with pytest.raises(ValueError, match=f"^ASSAY_API_KEY_FILE names {file}, which {says}"):
        Assay()


def test_a_worker_without_its_key_file_says_so_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keyless.py").write_text("from assay_wsgi.sdk import Assay\napp = Assay()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ASSAY_API_KEY_FILE", str(tmp_path / "none"))

    assert command(["worker", "keyless:app"]) == 2

    assert capsys.readouterr().err.startswith("error: ASSAY_API_KEY_FILE names")


# ------------------------------------------------------------------------------------- what it includes


def test_an_app_includes_another_with_all_that_it_has() -> None:
    app, other = Assay(), shop()

    app.include(other)
    app.include(other)  # the same again is nothing new

    assert app.workflows == other.workflows
    assert app.activities == other.activities
    assert app.queue == "default"


def test_a_name_that_both_have_is_refused_and_nothing_is_included() -> None:
    app, other = Assay(), shop()

    @app.activity(name="greet")
    def another() -> None: ...

    with pytest.raises(ValueError, match="registered in both apps: greet; give one of each another name="):
        app.include(other)

    assert app.workflows == {}


# ------------------------------------------------------------------------------------- inside another program


def test_a_worker_works_as_long_as_its_block_lasts_and_leaves_signals_alone(service: Service) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    with shop().worker(connect=service.connect) as worker:
        run = service.until_closed(service.start("Hello", "h1", "Ada"))
        during = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    assert run.result == "hello, Ada"
    assert during == before
    assert worker.ended.is_set()
    with pytest.raises(RuntimeError, match="used once"):
        worker.start()


def test_an_error_in_the_block_ends_the_worker_too(service: Service) -> None:
    with pytest.raises(ZeroDivisionError), shop().worker(connect=service.connect) as worker:
        raise ZeroDivisionError

    assert worker.ended.is_set()
