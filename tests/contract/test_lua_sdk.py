"""The Lua SDK of assay, unmodified, against this service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.lua_sdk import LuaSdk
from tests.contract.lua_sdk import checkout
from tests.contract.service import Caller
from tests.contract.service import Service

SDK = checkout()
pytestmark = pytest.mark.skipif(SDK is None, reason="ASSAY_TEST_LUA_SDK names no checkout of assay's Lua SDK")

WORKER = """
local here = { task_queue = QUEUE }

workflow.define("Hello", function(ctx, input)
    return { said = ctx:execute_activity("greet", { who = input.who }, here) }
end)
workflow.define("NothingComesBack", function(ctx)
    return { got_nil = ctx:execute_activity("say_nothing", {}, here) == nil }
end)
workflow.define("Beats", function(ctx)
    return ctx:execute_activity("beat", nil, here)
end)
workflow.define("Waits", function(ctx)
    local first = ctx:wait_for_signal("go")
    return { first = first, second = ctx:wait_for_signal("go") }
end)
workflow.define("Flaky", function(ctx)
    return ctx:execute_activity("flaky", {}, { task_queue = QUEUE, max_attempts = 3, initial_interval_secs = 0.05 })
end)
workflow.define("Hopeless", function(ctx)
    return ctx:execute_activity("hopeless", {}, { task_queue = QUEUE, max_attempts = 1 })
end)
workflow.define("Staged", function(ctx)
    local state = { stage = "waiting", progress = 0.5 }
    ctx:register_query("pipeline_state", function() return state end)
    ctx:wait_for_signal("go")
    state.stage = "done"
    return state
end)
workflow.define("Tokens", function(ctx)
    return ctx:side_effect("issue", function() issued = (issued or 0) + 1; return "token-" .. issued end)
end)
workflow.define("FansOut", function(ctx)
    local asked = {}
    for n = 1, 5 do asked[n] = { name = "double", input = { n = n }, opts = here } end
    return ctx:execute_parallel(asked)
end)
workflow.define("Sleeps", function(ctx)
    ctx:sleep(0.2)
    ctx:sleep(0.1)
    return "rested"
end)
workflow.define("Decides", function(ctx, input)
    local said = ctx:wait_for_signal("decide", { timeout = input.timeout })
    local then_said = ctx:wait_for_signal("decide", { timeout = 0.1 })
    return { said = said or "nothing", then_said = then_said or "nothing" }
end)
workflow.define("Parent", function(ctx, input)
    return { of_child = ctx:start_child_workflow(input.of, {
        workflow_id = input.child, input = input.input, task_queue = QUEUE,
    }) }
end)
workflow.define("CountsDown", function(ctx, input)
    if input.n > 0 then ctx:continue_as_new({ n = input.n - 1 }) end
    return "counted"
end)

workflow.activity("greet", function(ctx, input) return "hello " .. input.who end)
workflow.activity("say_nothing", function() end)
workflow.activity("beat", function(ctx) ctx:heartbeat({ page = 1 }); ctx:heartbeat(); return "beaten" end)
local tries = 0
workflow.activity("flaky", function() tries = tries + 1; if tries < 3 then error("boom") end; return tries end)
workflow.activity("hopeless", function() error("boom") end)
workflow.activity("double", function(ctx, input) return 2 * input.n end)
"""


@pytest.fixture
def caller(attended: Service) -> Iterator[Caller]:
    """On a service that fires timers."""
    made = Caller(attended)
    yield made
    made.close()


@pytest.fixture
def sdk(caller: Caller) -> LuaSdk:
    assert SDK is not None
    made = LuaSdk(SDK, caller.service.root, caller.queue)
    made.run(WORKER)
    return made


def closed(caller: Caller, sdk: LuaSdk, workflow_id: str) -> dict[str, Any]:
    """Let the worker work until the run is closed. Answers its record."""
    sdk.listen(lambda: caller.record(workflow_id)["completed_at"] is not None)
    return caller.record(workflow_id)


def waiting(caller: Caller, sdk: LuaSdk, workflow_id: str) -> None:
    """Let the worker work until the run waits for a signal."""
    sdk.listen(lambda: caller.told(workflow_id)[-1] == "WorkflowAwaitingSignal")


def result(record: dict[str, Any]) -> Any:
    assert record["status"] == "COMPLETED", record["error"]
    return json.loads(record["result"])


def test_a_run_with_one_activity(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Hello", caller.fresh(), {"who": "you"})

    assert result(closed(caller, sdk, workflow_id)) == {"said": "hello you"}
    assert caller.told(workflow_id) == [
        "WorkflowStarted", "ActivityScheduled", "ActivityCompleted", "WorkflowCompleted",
    ]  # fmt: skip


def test_an_activity_that_returns_nil(caller: Caller, sdk: LuaSdk) -> None:
    """With assay 0.1.8 as the service it stays RUNNING for ever."""
    workflow_id = sdk.start("NothingComesBack", caller.fresh())

    assert result(closed(caller, sdk, workflow_id)) == {"got_nil": True}


def test_heartbeats_with_a_table_and_with_nothing(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Beats", caller.fresh())

    assert result(closed(caller, sdk, workflow_id)) == "beaten"
    scheduled = json.loads(caller.events(workflow_id)[1]["payload"])
    activity = caller.get(f"/activities/{scheduled['activity_id']}").json()
    assert activity["heartbeat_details"] == {"page": 1}


def test_cancel(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Waits", caller.fresh())
    waiting(caller, sdk, workflow_id)

    sdk.workflow.cancel(workflow_id)

    assert closed(caller, sdk, workflow_id)["status"] == "CANCELLED"
    assert caller.told(workflow_id)[-2:] == ["WorkflowCancelRequested", "WorkflowCancelled"]


def test_terminate(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Waits", caller.fresh())
    waiting(caller, sdk, workflow_id)

    sdk.workflow.terminate(workflow_id, "enough")

    assert caller.record(workflow_id)["error"] == "terminated: enough"


def test_signals_in_the_order_in_which_they_came(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Waits", caller.fresh())
    waiting(caller, sdk, workflow_id)

    sdk.workflow.signal(workflow_id, "go", sdk.lua_value({"by": "me"}))
    sdk.workflow.signal(workflow_id, "go", "again")

    assert result(closed(caller, sdk, workflow_id)) == {"first": {"by": "me"}, "second": "again"}


def test_a_signal_without_a_payload_is_taken_and_the_sdk_does_not_see_it(caller: Caller, sdk: LuaSdk) -> None:
    """It keeps what signals bring in a list, and nil in a list is nothing: the handler goes on waiting."""
    workflow_id = sdk.start("Waits", caller.fresh())
    waiting(caller, sdk, workflow_id)

    sdk.workflow.signal(workflow_id, "go")
    waiting(caller, sdk, workflow_id)

    assert caller.told(workflow_id)[-2:] == ["SignalReceived", "WorkflowAwaitingSignal"]
    assert caller.polled() is None


def test_an_activity_that_fails_is_tried_again(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Flaky", caller.fresh())

    assert result(closed(caller, sdk, workflow_id)) == 3


def test_an_activity_that_fails_for_good_fails_the_run(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Hopeless", caller.fresh())

    record = closed(caller, sdk, workflow_id)

    assert record["status"] == "FAILED"
    assert "activity 'hopeless' failed: " in record["error"]
    assert record["error"].endswith("boom")


def test_the_state_of_a_run(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Staged", caller.fresh())
    assert sdk.workflow.get_state(workflow_id) is None

    waiting(caller, sdk, workflow_id)
    state = sdk.python_value(sdk.workflow.get_state(workflow_id, "pipeline_state"))
    assert state["value"] == {"stage": "waiting", "progress": 0.5}

    sdk.workflow.signal(workflow_id, "go", True)
    closed(caller, sdk, workflow_id)
    state = sdk.python_value(sdk.workflow.get_state(workflow_id))
    assert state["state"] == {"pipeline_state": {"stage": "done", "progress": 0.5}}
    assert sdk.workflow.get_state(workflow_id, "other") is None


def test_a_side_effect_happens_once(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Tokens", caller.fresh())

    assert result(closed(caller, sdk, workflow_id)) == "token-1"
    assert caller.told(workflow_id).count("SideEffectRecorded") == 1


def test_activities_side_by_side(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("FansOut", caller.fresh())

    assert result(closed(caller, sdk, workflow_id)) == [2, 4, 6, 8, 10]
    assert caller.told(workflow_id).count("ActivityScheduled") == 5


def test_sleeps(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Sleeps", caller.fresh())

    assert result(closed(caller, sdk, workflow_id)) == "rested"
    assert caller.told(workflow_id) == [
        "WorkflowStarted", "TimerScheduled", "TimerFired", "TimerScheduled", "TimerFired", "WorkflowCompleted",
    ]  # fmt: skip


def test_a_signal_that_comes_in_time_and_one_that_does_not(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Decides", caller.fresh(), {"timeout": 3600})
    waiting(caller, sdk, workflow_id)

    sdk.workflow.signal(workflow_id, "decide", "yes")

    assert result(closed(caller, sdk, workflow_id)) == {"said": "yes", "then_said": "nothing"}
    assert caller.told(workflow_id) == [
        "WorkflowStarted", "TimerScheduled", "WorkflowAwaitingSignal", "SignalReceived", "TimerCancelled",
        "TimerScheduled", "WorkflowAwaitingSignal", "TimerFired", "WorkflowCompleted",
    ]  # fmt: skip


def test_a_wait_that_runs_out_twice(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Decides", caller.fresh(), {"timeout": 0.1})

    assert result(closed(caller, sdk, workflow_id)) == {"said": "nothing", "then_said": "nothing"}
    assert caller.told(workflow_id) == [
        "WorkflowStarted", *["TimerScheduled", "WorkflowAwaitingSignal", "TimerFired"] * 2, "WorkflowCompleted",
    ]  # fmt: skip


def test_a_child_that_completes(caller: Caller, sdk: LuaSdk) -> None:
    child_id = caller.fresh("child")
    asked = {"of": "Hello", "child": child_id, "input": {"who": "child"}}
    workflow_id = sdk.start("Parent", caller.fresh(), asked)

    assert result(closed(caller, sdk, workflow_id)) == {"of_child": {"said": "hello child"}}
    assert caller.told(workflow_id) == [
        "WorkflowStarted", "ChildWorkflowStarted", "ChildWorkflowCompleted", "WorkflowCompleted",
    ]  # fmt: skip
    (listed,) = sdk.python_value(sdk.workflow.list_children(workflow_id))
    assert (listed["id"], listed["parent_id"]) == (child_id, workflow_id)


def test_a_child_that_fails_fails_its_parent(caller: Caller, sdk: LuaSdk) -> None:
    child_id = caller.fresh("child")
    workflow_id = sdk.start("Parent", caller.fresh(), {"of": "Hopeless", "child": child_id})

    record = closed(caller, sdk, workflow_id)

    assert record["status"] == "FAILED"
    assert f"child workflow '{child_id}' failed: " in record["error"]
    assert record["error"].endswith("boom")


def test_a_child_that_continues_as_new(caller: Caller, sdk: LuaSdk) -> None:
    asked = {"of": "CountsDown", "child": caller.fresh("child"), "input": {"n": 2}}
    workflow_id = sdk.start("Parent", caller.fresh(), asked)

    assert result(closed(caller, sdk, workflow_id)) == {"of_child": "counted"}


def test_cancel_of_a_parent_reaches_its_child(caller: Caller, sdk: LuaSdk) -> None:
    child_id = caller.fresh("child")
    workflow_id = sdk.start("Parent", caller.fresh(), {"of": "Waits", "child": child_id})
    sdk.listen(lambda: caller.told(workflow_id)[-1] == "ChildWorkflowStarted")
    waiting(caller, sdk, child_id)

    sdk.workflow.cancel(workflow_id)

    assert closed(caller, sdk, workflow_id)["status"] == "CANCELLED"
    assert closed(caller, sdk, child_id)["status"] == "CANCELLED"


def test_continue_as_new(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("CountsDown", caller.fresh(), {"n": 2})
    last = f"{workflow_id}-continued-2"

    closed(caller, sdk, workflow_id)
    assert caller.told(workflow_id) == ["WorkflowStarted", "WorkflowContinuedAsNew"]

    sdk.listen(lambda: caller.get(f"/workflows/{last}").status_code == 200)
    assert result(closed(caller, sdk, last)) == "counted"


def test_the_module_that_looks_after_runs(caller: Caller, sdk: LuaSdk) -> None:
    workflow_id = sdk.start("Hello", caller.fresh(), {"who": "you"})
    closed(caller, sdk, workflow_id)
    ask = sdk.workflow
    space = caller.id("a space (1)")

    ask.namespaces.create(space)
    assert space in [one["name"] for one in sdk.python_value(ask.namespaces.list())]
    assert sdk.python_value(ask.namespaces.stats(space))["total_workflows"] == 0
    ask.namespaces["delete"](space)
    assert sdk.python_value(ask.describe(workflow_id))["status"] == "COMPLETED"
    assert [event["seq"] for event in sdk.python_value(ask.get_events(workflow_id))] == [1, 2, 3, 4]
    assert sdk.python_value(ask.list_children(workflow_id)) == []
    wanted = {"status": "COMPLETED", "type": "Hello", "search_attrs": {}, "limit": 1000}
    assert workflow_id in [one["id"] for one in sdk.python_value(ask.list(sdk.lua_value({**wanted, "offset": 0})))]
    assert caller.queue in [one["task_queue"] for one in sdk.python_value(ask.workers.list())]
    assert isinstance(sdk.python_value(ask.queues.stats()), list)
