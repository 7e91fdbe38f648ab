"""A deploy that waits for somebody's word, a day at most, and is shown step by step.

    assay worker examples.deploy_approval:app
    python -m examples.deploy_approval ask prod v1.4.0
    python -m examples.deploy_approval approve prod v1.4.0 --by alice
    python -m examples.deploy_approval ask prod v1.5.0 --within 3600
    python -m examples.deploy_approval reject prod v1.5.0 --by bob
    curl -s http://127.0.0.1:8080/api/v1/workflows/deploy-prod-v1.5.0/state/pipeline_state
What it sends is what the dashboard's buttons send; the signal `approve` with {"by", "ok"} says the same.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry
from assay_wsgi.sdk import WorkflowCancelledError

app = Assay(queue="deploys")


@dataclass
class Deploy:
    env: str
    version: str
    within_secs: float = 24 * 3600.0  # that somebody has for their word


@dataclass
class Approval:
    by: str
    ok: bool = True


@app.activity(retry=Retry(max_attempts=5, initial=2.0), timeout=600.0)
def build(version: str) -> str:
    """Build the image, in earnest somewhere else."""
    return f"images.example.com/app:{version}"


@app.activity(timeout=300.0)
def roll_out(image: str, env: str, approver: str) -> str:
    """Roll the image out and return where it is."""
    print(f"{image} goes to {env}, approved by {approver}")
    return f"https://{env}.example.com"


@app.workflow
def ApproveAndDeploy(ctx: Context, deploy: Deploy) -> str:
    """Build, wait for a word, roll out."""
    steps = ctx.steps("Build", "Approval", "Deploy")
    with steps.step("Build"):
        image = ctx.execute_activity(build, deploy.version)
    with steps.step("Approval", actions=["approve", "reject"]):
        word = ctx.wait_for_signal("approve", Approval, timeout=deploy.within_secs)
        if word is None:
            ctx.cancel(f"nobody approved it in {deploy.within_secs / 3600:g} hours")
        if not word.ok:
            ctx.cancel(f"rejected by {word.by}")
        steps.log(f"approved by {word.by}")
    with steps.step("Deploy"):
        return ctx.execute_activity(roll_out, image, deploy.env, word.by)


def main() -> None:
    """Ask for a deploy, or give the word on one."""
    parser = argparse.ArgumentParser(description="ask for a deploy, approve or reject it")
    parser.add_argument("what", choices=["ask", "approve", "reject"])
    parser.add_argument("env")
    parser.add_argument("version")
    parser.add_argument("--by", default="somebody", metavar="NAME")
    parser.add_argument("--within", type=float, default=24 * 3600.0, metavar="SECS", help="for the word to be given")
    asked = parser.parse_args()
    workflow_id = f"deploy-{asked.env}-{asked.version}"
    if asked.what == "ask":
        app.client.start(ApproveAndDeploy, Deploy(asked.env, asked.version, asked.within), id=workflow_id)
        print(f"{workflow_id} asks for approval")
        return
    handle = app.client.handle(workflow_id)
    handle.signal("step_action", {"step": "Approval", "action": asked.what, "user": asked.by})
    try:
        print(f"deployed: {handle.result(timeout=60)}")
    except WorkflowCancelledError as cancelled:
        print(f"not deployed: {cancelled}")


if __name__ == "__main__":
    main()
