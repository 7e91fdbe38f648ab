"""Runs the Lua SDK of assay, unmodified, in this process.

The SDK is no part of this repository: ASSAY_TEST_LUA_SDK names a checkout of it. What its runtime gives it
(http, json, log, sleep, os.hostname) is given here; an empty table is written as `[]`, as that runtime does.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.processes import PATIENCE_SECS

IDLE_SECS = 0.02  # the SDK sleeps half a second where it has nothing to do

_SETTING_UP = """
    local files, shim = ...
    for name, file in pairs(files) do
        package.preload[name] = function() return assert(loadfile(file))() end
    end
    http = { get = shim.get, post = shim.post, patch = shim.patch, delete = shim.delete }
    json = { parse = shim.parse, encode = shim.encode }
    log = { info = shim.log, warn = shim.log, error = shim.log, debug = shim.log }
    sleep = shim.sleep
    os.hostname = function() return "host" end
    workflow = require("assay.workflow")
"""


def checkout() -> Path | None:
    """Where the SDK's modules are, if somebody has said so."""
    given = os.environ.get("ASSAY_TEST_LUA_SDK")
    if not given:
        return None
    places = [Path(given) / below for below in ("", "stdlib", "crates/assay/stdlib")]
    found = next((place for place in places if (place / "workflow.lua").is_file()), None)
    assert found is not None, f"ASSAY_TEST_LUA_SDK: there is no workflow.lua in {given}"
    return found


class Finished(Exception):
    """What the worker was to do is done."""


class LuaSdk:
    """The SDK, connected to a service."""

    def __init__(self, sdk: Path, service: str, queue: str) -> None:
        from lupa import LuaRuntime  # not everybody has it

        self.lua = LuaRuntime(unpack_returned_tuples=True)
        self.queue = queue
        self.said: list[str] = []
        self._done: Callable[[], object] = bool
        self._limit = 0.0
        files = {"assay.workflow": sdk / "workflow.lua"}
        files |= {f"assay.workflow.{file.stem}": file for file in (sdk / "workflow").glob("*.lua")}
        shim = {
            "get": lambda url, _opts: self._send("GET", url),
            "delete": lambda url, _opts: self._send("DELETE", url),
            "post": lambda url, body, _opts: self._send("POST", url, body),
            "patch": lambda url, body, _opts: self._send("PATCH", url, body),
            "parse": lambda text: self.lua_value(json.loads(text)),
            "encode": lambda value: json.dumps(self.python_value(value)),
            "log": self.said.append,
            "sleep": self._sleep,
        }
        given = self.lua.table_from({name: str(file) for name, file in files.items()})
        self.lua.execute(_SETTING_UP, given, self.lua.table_from(shim))
        self.workflow = self.lua.globals().workflow
        self.workflow.connect(f"{service}/")
        self.lua.globals().QUEUE = queue

    def run(self, code: str) -> None:
        """Run Lua code, in which `workflow` is the SDK and QUEUE the queue."""
        self.lua.execute(code)

    def start(self, workflow_type: str, workflow_id: str, value: Any = None) -> str:
        """Start a run as the SDK does. Answers its workflow id."""
        asked = {"workflow_type": workflow_type, "workflow_id": workflow_id, "task_queue": self.queue, "input": value}
        answer = self.python_value(self.workflow.start(self.lua_value(asked)))
        return str(answer["workflow_id"])

    def listen(self, done: Callable[[], object], **options: Any) -> None:
        """Be a worker until `done`, which is asked whenever there is nothing to do."""
        self._done, self._limit = done, time.monotonic() + PATIENCE_SECS
        try:
            self.workflow.listen(self.lua_value({"queue": self.queue, **options}))
        except Finished:
            return
        raise AssertionError("the worker has ended by itself")

    def lua_value(self, value: Any) -> Any:
        """Make a Lua value of a JSON one; what is null is not there."""
        if isinstance(value, dict):
            members = {name: self.lua_value(one) for name, one in value.items() if one is not None}
            return self.lua.table_from(members)
        if isinstance(value, list):
            return self.lua.table_from([self.lua_value(one) for one in value])
        return value

    def python_value(self, value: Any) -> Any:
        """Make a JSON value of a Lua one."""
        from lupa import lua_type

        if lua_type(value) != "table":
            return value
        members = dict(value.items())
        if list(members) == list(range(1, len(members) + 1)):
            return [self.python_value(one) for one in members.values()]
        return {name: self.python_value(one) for name, one in members.items()}

    def _send(self, method: str, url: str, body: Any = None) -> Any:
        sent = None if method in ("GET", "DELETE") else self.python_value(body)
        answer = requests.request(method, url, json=sent, timeout=30)
        return self.lua.table_from({"status": answer.status_code, "body": answer.text})

    def _sleep(self, _secs: float) -> None:
        if self._done():
            raise Finished
        assert time.monotonic() < self._limit, self.said[-5:]
        time.sleep(IDLE_SECS)
