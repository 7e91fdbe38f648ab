"""`assay namespace delete --force` asks a person first, and goes on until the service has nothing left to remove."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from werkzeug import Request
from werkzeug import Response

from tests.cli.stage import call
from tests.cli.stage import served


class Emptied:
    """A service that removes runs a portion a request, as the engine does with large namespaces."""

    def __init__(self, *portions: int) -> None:
        self._portions = list(portions)
        self.total = sum(portions)
        self.asked: list[str] = []

    def __call__(self, environ, start_response):
        request = Request(environ)
        self.asked.append(request.method)
        if request.method == "GET":
            answer = Response(f'{{"name": "other", "total_workflows": {self.total}}}', 200)
        else:
            assert request.args["force"] == "true"
            removed = self._portions.pop(0)
            done = "false" if self._portions else "true"
            answer = Response(f'{{"deleted_workflows": {removed}, "done": {done}}}', 202 if self._portions else 200)
        answer.content_type = "application/json"
        return answer(environ, start_response)


class Asked:
    """The command at a terminal, with its question on the screen."""

    def __init__(self, process: subprocess.Popen[str], terminal: int, screen: str) -> None:
        self._process, self._terminal, self.screen = process, terminal, screen

    def press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def ended(self) -> tuple[int, str]:
        """Give the exit code and standard output; the screen is what was shown until then."""
        out, _ = self._process.communicate(timeout=60)
        self.screen += _read(self._terminal, None)
        return self._process.returncode, out


@contextmanager
def asked(service: Emptied) -> Iterator[Asked]:
    ours, theirs = pty.openpty()
    with served(service) as url:
        argv = [sys.executable, "-m", "assay_wsgi", "namespace", "delete", "other", "--force", "--engine-url", url]
        process = subprocess.Popen(argv, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True)
        os.close(theirs)
        try:
            yield Asked(process, ours, _read(ours, "[y/N]: "))
        finally:
            process.kill()
            process.wait()
            os.close(ours)


def _read(terminal: int, last: str | None) -> str:
    """Read the screen up to some words, or to its end."""
    shown = b""
    while last is None or last.encode() not in shown:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # nobody has it open any more
            more = b""
        if not more:
            assert last is None, f"the command ended with {shown!r} on the screen"
            break
        shown += more
    return shown.decode()


def test_a_yes_deletes_and_each_portion_is_told():
    service = Emptied(1, 400, 23)

    with asked(service) as command:
        assert command.screen == "Delete namespace other with 424 runs? [y/N]: "
        command.press("y\n")
        code, out = command.ended()

    assert (code, service.asked) == (0, ["GET", "DELETE", "DELETE", "DELETE"])
    assert '"deleted_workflows": 424' in out
    assert "1 run removed, more are left" in command.screen
    assert "401 runs removed, more are left" in command.screen


@pytest.mark.parametrize("keys", ["n\n", "\n"])
def test_a_no_or_nothing_keeps_all(keys):
    service = Emptied(1)

    with asked(service) as command:
        assert command.screen == "Delete namespace other with 1 run? [y/N]: "
        command.press(keys)
        code, out = command.ended()

    assert (code, out, service.asked) == (1, "", ["GET"])
    assert "error: nothing was deleted" in command.screen


def test_ctrl_c_at_the_question_keeps_all():
    service = Emptied(1)

    with asked(service) as command:
        command.interrupt()
        code, out = command.ended()

    assert (code, out, service.asked) == (130, "", ["GET"])
    assert "Traceback" not in command.screen


def test_without_a_terminal_nobody_can_be_asked(monkeypatch):
    service = Emptied(2)

    with served(service) as url:
        said = call(monkeypatch, "namespace", "delete", "other", "--force", "--engine-url", url)

    assert said == (1, "", "error: namespace other with 2 runs would be lost: say --yes\n")
    assert service.asked == ["GET"]


def test_with_yes_nobody_is_asked(monkeypatch):
    service = Emptied(2, 1)

    with served(service) as url:
        said = call(
            monkeypatch, *["namespace", "delete", "other", "--force", "--yes", "-o", "table", "--engine-url"], url
        )

    assert said == (0, "namespace other was deleted with 3 runs\n", "2 runs removed, more are left\n")
    assert service.asked == ["DELETE", "DELETE"]
