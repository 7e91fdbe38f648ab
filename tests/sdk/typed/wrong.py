"""What a type checker must refuse: each line that is wrong says with which words, or words of it."""

from __future__ import annotations

from assay_wsgi import sdk
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry
from tests.sdk.typed.shop import Buy
from tests.sdk.typed.shop import Order
from tests.sdk.typed.shop import Tick
from tests.sdk.typed.shop import Transfer
from tests.sdk.typed.shop import app
from tests.sdk.typed.shop import charge
from tests.sdk.typed.shop import greet


def names() -> None:
    sdk.Asay()  # wrong: Module has no attribute "Asay"


def plain_calls(ctx: Context) -> None:
    greet(1)  # wrong: incompatible type "int"; expected "str"
    greet()  # wrong: Missing positional argument "who"
    Buy(ctx, "a")  # wrong: incompatible type "str"; expected "Order"
    Buy(ctx)  # wrong: Missing positional argument "order"


def activities(ctx: Context) -> None:
    ctx.execute_activity(greet, 1)  # wrong: No overload variant of "execute_activity"
    ctx.execute_activity(greet)  # wrong: No overload variant of "execute_activity"
    ctx.execute_activity(charge, "o", totl=3)  # wrong: Unexpected keyword argument "totl"
    ctx.start_activity(greet, "a", "b")  # wrong: No overload variant of "start_activity"
    charge.prepare(1)  # wrong: incompatible type "int"; expected "str"
    number: int = ctx.execute_activity(greet, "x")  # wrong: expression has type "str", variable has type "int"
    del number
    charge.options(timout=3)  # wrong: Unexpected keyword argument "timout"
    charge.options(timeout="3")  # wrong: incompatible type "str"
    charge.options(retry={"attempts": 3})  # wrong: incompatible type "dict[str, int]"
    Retry(initial="1s")  # wrong: incompatible type "str"


def children(ctx: Context) -> None:
    ctx.start_child(Tick, 1)  # wrong: incompatible type "WorkflowDefinition[[], int]"
    ctx.start_child(Buy)  # wrong: incompatible type "WorkflowDefinition[[Order], Receipt]"
    ctx.execute_child(Buy, "a", id="b")  # wrong: incompatible type "WorkflowDefinition[[Order], Receipt]"
    ctx.execute_child(Transfer, "a")  # wrong: incompatible type "WorkflowDefinition[[str, float, str], str]"
    ctx.execute_child(Transfer, "a", "b")  # wrong: incompatible type "WorkflowDefinition[[str, float, str], str]"
    ctx.execute_child(Transfer.prepare("a", amout=2))  # wrong: Unexpected keyword argument "amout"
    ctx.start_child(Buy, Order("a"), ide="b")  # wrong: No overload variant of "start_child"
    ctx.start_child(Buy, Order("a"), parent_close="kill")  # wrong: No overload variant of "start_child"


def again(ctx: Context, which: int) -> None:
    if which == 1:
        ctx.continue_as_new("b", workflow=Buy)  # wrong: expected "Callable[[Any, str], Any]"
    if which == 2:
        ctx.continue_as_new(Buy.prepare())  # wrong: Missing positional argument "order"
    ctx.continue_as_new(Buy.prepare(Order("a")), queue=3)  # wrong: No overload variant of "continue_as_new"


def starts() -> None:
    client = app.client
    client.start(Tick, 1)  # wrong: incompatible type "WorkflowDefinition[[], int]"
    client.start(Buy)  # wrong: incompatible type "WorkflowDefinition[[Order], Receipt]"
    client.start(Buy, {"sku": "a"})  # wrong: incompatible type "WorkflowDefinition[[Order], Receipt]"
    client.start(Buy, Order("a"), ide="o-1")  # wrong: No overload variant of "start"
    client.start(Buy, Order("a"), id=1)  # wrong: No overload variant of "start"
    client.start(Buy, Order("a"), id_conflict="ignore")  # wrong: No overload variant of "start"
    client.start(Buy, Order("a"), run_timeout="1h")  # wrong: No overload variant of "start"
    client.execute(Transfer, "a", 2, 3)  # wrong: incompatible type "WorkflowDefinition[[str, float, str], str]"
    client.signal_with_start(Buy, Order("a"), id="o-1")  # wrong: No overload variant of "signal_with_start"
    client.start_many([{"workflow": Tick, "ide": "t-1"}])  # wrong: Extra key "ide"


def runs() -> None:
    client = app.client
    text: str = client.handle("o-1", Buy).result()  # wrong: expression has type "Receipt", variable has type "str"
    del text
    client.list(state="RUNNING")  # wrong: Unexpected keyword argument "state"
    client.count(group_by="colour")  # wrong: No overload variant of "count"
    client.list(status="ENDED")  # wrong: incompatible type "Literal['ENDED']"


def schedules() -> None:
    schedules = app.client.schedules
    schedules.create("n", "@daily", Buy)  # wrong: incompatible type "WorkflowDefinition[[Order], Receipt]"
    schedules.create("n", "@daily", Buy, Order("a"), zone="UTC")  # wrong: No overload variant of "create"
    schedules.create("n", "@daily", Buy, Order("a"), overlap="never")  # wrong: No overload variant of "create"
    schedules.ensure("n", "@daily", Tick, 1)  # wrong: incompatible type "WorkflowDefinition[[], int]"
    schedules.update("n", crn="@daily")  # wrong: Unexpected keyword argument "crn"
    schedules.trigger("n", overlap="never")  # wrong: incompatible type "Literal['never']"


@app.workflow  # wrong: incompatible type "Callable[[], None]"
def lonely() -> None: ...


@app.activity(retries=3)  # wrong: Unexpected keyword argument "retries"
def unknown_option() -> None: ...
