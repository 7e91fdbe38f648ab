"""Calls whose every word is kept in tests/cli/golden: each command, each option, each exit code."""

from __future__ import annotations

import shlex
from typing import NamedTuple

ACTING = frozenset(
    {
        "start",
        "start-batch",
        "run",
        "signal",
        "signal-with-start",
        "retry-now",
        "cancel",
        "terminate",
        "continue-as-new",
        "add",
    }
    | {"complete", "fail", "heartbeat", "release", "create", "delete", "rotate", "revoke"}
    | {"patch", "pause", "resume", "trigger", "backfill"}
)


class Case(NamedTuple):
    """A call of the command line."""

    command: str  # its folder
    name: str  # its file
    line: str  # what follows the command
    stdin: str = ""

    @property
    def acts(self) -> bool:
        """Whether it changes what the service knows: then each call has a service of its own."""
        return self.command.rpartition("/")[2] in ACTING

    @property
    def arguments(self) -> list[str]:
        return [*self.command.split("/"), *shlex.split(self.line)]


NEW_RUN = """--type Greet --input '{"who": "Bob"}' --queue q1 --search-attrs '{"env": "dev"}' --id-reuse allow """
NEW_RUN += "--run-timeout 60 --execution-timeout 600 --idempotency-key k1"
RETRY = "--max-attempts 5 --initial-interval-secs 2 --backoff-coefficient 1.5 --max-interval-secs 60 --jitter 0.1"
LIMITS = "--start-to-close-secs 9 --heartbeat-timeout-secs 3 --schedule-to-start-secs 60 --schedule-to-close-secs 90"
SCHEDULE = (
    """--timezone Europe/Berlin --input '{"of": "yesterday"}' --queue q1 --overlap queue --catchup-window 3600 """
)
SCHEDULE += """--search-attrs '{"env": "dev"}' --run-timeout 60 --execution-timeout 600 --idempotency-key k1"""

CASES = [
    Case("workflow/start", "all", f"--id new-1 --id-conflict fail {NEW_RUN}"),
    Case("workflow/start", "taken", "--type Greet --id order-1"),
    Case("workflow/start", "existing", "--type Checkout --id order-1 --id-conflict use_existing"),
    Case("workflow/start", "no_type", ""),
    Case("workflow/start", "from_stdin", "--type Greet --id new-1 --input -", stdin='{"who": "Eve"}'),
    Case("workflow/start", "no_json", "--type Greet --input Bob"),
    Case("workflow/start", "no_file", "--type Greet --input @/nowhere.json"),
    Case(
        "workflow/start-batch",
        "some",
        "-",
        stdin='{"workflow_type": "Greet", "workflow_id": "new-1"}\n\n'
        '{"workflow_type": "Greet", "workflow_id": "order-1"}\n',
    ),
    Case("workflow/start-batch", "no_object", "-", stdin="[1]\n"),
    Case("workflow/run", "too_slow", f"--id new-1 --id-conflict fail {NEW_RUN} --timeout 0"),
    Case("workflow/run", "quiet", "--type Greet --id new-1 --timeout 0 --quiet"),
    Case("workflow/list", "plain", ""),
    Case("workflow/list", "two", "--limit 2"),
    Case("workflow/list", "begin", "--limit 1 --cursor ''"),
    Case("workflow/list", "offset", "--all --offset 3"),
    Case("workflow/list", "filtered", "--status completed --type Greet --claimed-by nobody"),
    Case("workflow/list", "attributes", """--search-attrs '{"env": "prod"}'"""),
    Case("workflow/list", "parent", "--parent-id order-1"),
    Case("workflow/list", "created", "--created-after 1699999999 --created-before 2023-11-14T22:13:21+00:00"),
    Case("workflow/list", "closed", "--closed-after 1700000001 --closed-before 1700000002"),
    Case("workflow/list", "none", "--type Nobody"),
    Case("workflow/list", "no_status", "--status BUSY"),
    Case("workflow/list", "no_time", "--created-after yesterday"),
    Case("workflow/list", "query", """-q "Status = 'FAILED' OR env = 'prod' ORDER BY WorkflowId" """),
    Case("workflow/list", "no_query", """--query "Status = FAILED" """),
    Case("workflow/count", "all", ""),
    Case("workflow/count", "some", """--type Greet --query "CloseTime IS NOT NULL" """),
    Case(
        "workflow/count",
        "none",
        "--status running --claimed-by nobody --parent-id order-1 --search-attrs '{}' --created-after 1699999999 "
        "--created-before 2h --closed-after 1700000001 --closed-before 1700000002",
    ),
    Case("workflow/count", "groups", "--group-by status"),
    Case("workflow/count", "no_order", """--query "ORDER BY StartTime" """),
    Case("workflow/describe", "done", "done-1"),
    Case("workflow/describe", "awkward", "'a/b c?#' --namespace other"),
    Case("workflow/describe", "run_id", "loop-1 --run-id run-loop-1-4"),
    Case("workflow/describe", "nobody", "nobody"),
    Case("workflow/describe", "dots", ".."),
    Case("workflow/show", "at_work", "order-1"),
    Case("workflow/show", "failed", "bad-1"),
    Case("workflow/show", "failing", "stuck-1 --namespace other"),
    Case("workflow/show", "full", "done-1 --full"),
    Case("workflow/show", "compact", "done-1 --compact --run-id run-done-1-1"),
    Case("workflow/state", "all", "order-1"),
    Case("workflow/state", "one", "order-1 stage"),
    Case("workflow/state", "none", "done-1 --run-id run-done-1-1"),
    Case("workflow/events", "all", "order-1"),
    Case("workflow/events", "part", "order-1 --after-seq 1 --before-seq 6 --limit 2 --order desc"),
    Case("workflow/events", "follow", "bad-1 --follow"),
    Case("workflow/events", "follow_continued", "loop-1 --run-id run-loop-1-3 --follow"),
    Case("workflow/events", "follow_limit", "order-1 --follow --limit 3"),
    Case("workflow/children", "all", "order-1"),
    Case("workflow/children", "part", "order-1 --limit 1 --offset 1 --run-id run-order-1-5"),
    Case("workflow/children", "no_cursor", "order-1 --cursor nowhere"),
    Case("workflow/tree", "all", "order-1"),
    Case("workflow/tree", "part", "order-1 --limit 1 --run-id run-order-1-5"),
    Case("workflow/wait", "completed", "done-1"),
    Case("workflow/wait", "failed", "bad-1"),
    Case("workflow/wait", "too_long", "order-1 --timeout 0"),
    Case("workflow/wait", "target", "order-1 --target waiting"),
    Case("workflow/wait", "other_end", "done-1 --target FAILED"),
    Case("workflow/wait", "continued", "loop-1 --run-id run-loop-1-3"),
    Case("workflow/wait", "no_target", "done-1 --target DEAD"),
    Case("workflow/result", "completed", "done-1"),
    Case("workflow/result", "continued", "loop-1 --run-id run-loop-1-3"),
    Case("workflow/result", "failed", "bad-1"),
    Case("workflow/result", "too_long", "order-1 --timeout 0"),
    Case("workflow/signal", "sent", """order-1 approve '{"by": "Ada"}' --signal-id s1 --idempotency-key k1"""),
    Case("workflow/signal", "closed", "done-1 approve --run-id run-done-1-1"),
    Case("workflow/signal", "no_json", "order-1 approve '{'"),
    Case("workflow/signal-with-start", "open", f"order-1 approve 1 --signal-id s1 {NEW_RUN}"),
    Case("workflow/signal-with-start", "started", "new-1 approve --type Greet"),
    Case("workflow/retry-now", "failing", "stuck-1 --namespace other --activities --idempotency-key k1"),
    Case("workflow/retry-now", "nothing", "order-1 --no-activities"),
    Case("workflow/retry-now", "closed", "done-1 --run-id run-done-1-1"),
    Case("workflow/cancel", "asked", "order-1 --reason 'too late' --idempotency-key k1"),
    Case("workflow/cancel", "closed", "done-1 --run-id run-done-1-1"),
    Case("workflow/terminate", "ended", "order-1 --reason 'too late' --idempotency-key k1"),
    Case("workflow/terminate", "nobody", "nobody --run-id run-nobody-1"),
    Case(
        "workflow/continue-as-new",
        "open",
        "order-1 --input 2 --new-id order-2 --type Other --queue q --idempotency-key k",
    ),
    Case("workflow/continue-as-new", "closed", "done-1 --run-id run-done-1-1"),
    Case("activity/describe", "one", "6"),
    Case("activity/describe", "no_number", "x"),
    Case("activity/add", "all", f"order-1 mail --seq 9 --input 1 --queue q --non-retryable Bad {RETRY} {LIMITS}"),
    Case("activity/add", "closed", "done-1 mail --seq 1 --run-id run-done-1-1 --task-token w.1.x --idempotency-key k1"),
    Case("activity/complete", "done", """6 --result '"paid"'"""),
    Case("activity/complete", "late", "6 --task-token a.1.1.x"),
    Case("activity/fail", "again", "6 --error 'no money' --error-type Poor --details 1 --next-retry-delay 5"),
    Case("activity/fail", "for_good", "6 --error 'no money' --non-retryable"),
    Case("activity/fail", "late", "6 --error 'no money' --task-token a.1.1.x"),
    Case("activity/heartbeat", "beaten", "6 --details 50"),
    Case("activity/heartbeat", "late", "6 --task-token a.1.1.x"),
    Case("activity/release", "released", "6"),
    Case("activity/release", "late", "6 --task-token a.1.1.x"),
    Case("schedule/list", "all", ""),
    Case("schedule/list", "part", "--limit 1 --offset 1"),
    Case("schedule/list", "none", "--namespace other"),
    Case("schedule/describe", "one", "nightly"),
    Case("schedule/next", "two", "nightly -n 2"),
    Case("schedule/next", "paused", "'a/b c?#'"),
    Case("schedule/check", "ticks", "'0 2 * * MON-FRI' --timezone Europe/Berlin --from 1700000000 -n 3"),
    Case("schedule/check", "left_out", "'*/30 * * * *' --timezone Europe/Berlin --from 2025-03-30T00:30:00+00:00 -n 3"),
    Case("schedule/check", "no_cron", "'0 24 * * *'"),
    Case("schedule/check", "no_zone", "@daily --timezone europe/berlin"),
    Case("schedule/check", "over", "'0 0 0 1 1 ? 2020' --from 2025-01-01"),
    Case("schedule/create", "all", f"weekly --type Report --cron @weekly {SCHEDULE}"),
    Case("schedule/create", "taken", "nightly --type Report --cron @daily"),
    Case("schedule/create", "no_cron", "weekly --type Report --cron '0 0 31 2 *'"),
    Case("schedule/patch", "all", f"nightly --type Other --cron '0 3 * * *' {SCHEDULE}"),
    Case("schedule/patch", "nothing", "nightly"),
    Case("schedule/pause", "paused", "nightly --reason stocktaking --idempotency-key k1"),
    Case("schedule/resume", "resumed", "'a/b c?#' --idempotency-key k1"),
    Case("schedule/trigger", "started", "nightly --idempotency-key k1"),
    Case("schedule/trigger", "skipped", "busy --overlap skip"),
    Case("schedule/trigger", "buffered", "busy --overlap buffer_one"),
    Case(
        "schedule/backfill",
        "some",
        "nightly --from 1699800000 --to 1700000000 --overlap allow_all --idempotency-key k1",
    ),
    Case("schedule/delete", "deleted", "nightly --idempotency-key k1"),
    Case("schedule/delete", "nobody", "nobody"),
    Case("apikey/create", "all", "--label packer --role worker --role viewer --in main --expires-in 90d"),
    Case("apikey/create", "everything", ""),
    Case("apikey/create", "known", "--label ci --idempotent"),
    Case("apikey/create", "no_role", "--role owner"),
    Case("apikey/create", "no_span", "--expires-in soon"),
    Case("apikey/create", "no_backend", "--backend mysql://keys"),
    Case("apikey/list", "all", ""),
    Case("apikey/list", "part", "--limit 1 --offset 1"),
    Case("apikey/list", "of_namespace", "--namespace main"),
    Case("apikey/list", "no_backend", "--backend mysql://keys"),
    Case("apikey/rotate", "soon", "assay_0123abcd... --grace 1h"),
    Case("apikey/rotate", "nobody", "assay_ffffffff"),
    Case("apikey/rotate", "no_backend", "assay_0123abcd --backend mysql://keys"),
    Case("apikey/revoke", "gone", "assay_0123abcd"),
    Case("apikey/revoke", "root", "assay_00000000"),
    Case("apikey/revoke", "no_backend", "assay_0123abcd --backend mysql://keys"),
    Case("audit", "all", ""),
    Case("audit", "page", "--limit 1 --all"),
    Case("audit", "filtered", "--principal unknown@192.0.2.7 --action workflows_cancel --target order-1"),
    Case("audit", "refused", "--outcome unauthorized --after 1700000000 --before 1800000000 --namespace main"),
    Case("events", "all", ""),
    Case("events", "narrowed", "--type workflow_failed --type workflow_completed --workflow-id bad-1"),
    Case("events", "part", "--after oldest --limit 2 --namespace other"),
    Case("events", "none", "--namespace nobody"),
    Case("events", "follow", "--follow --after oldest --limit 3"),
    Case("events", "follow_other", "--follow --after oldest --type workflow_running --limit 1 --namespace other"),
    Case("events", "no_type", "--type done"),
    Case("events", "no_cursor", "--follow --after ''"),
    Case("events", "reset", "--after 0-1-1"),
    Case("events", "follow_reset", "--follow --after 0-1-1"),
    Case("namespace/create", "made", "fresh"),
    Case("namespace/create", "taken", "other"),
    Case("namespace/list", "all", ""),
    Case("namespace/list", "part", "--limit 1 --offset 1"),
    Case("namespace/describe", "counts", "main"),
    Case("namespace/describe", "nobody", "nobody"),
    Case("namespace/delete", "full", "other"),
    Case("namespace/delete", "unasked", "other --force"),
    Case("namespace/delete", "forced", "other --force --yes"),
    Case("worker/list", "all", ""),
    Case("queue/stats", "all", ""),
    Case("config/show", "all", "--api-key assay_0123456789abcdef0123456789abcdef"),
    Case("config/path", "none", ""),
]
