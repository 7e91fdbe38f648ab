"""Checks of fsck on chains (runs that continue each other) and families (parents and their children)."""

from __future__ import annotations

from .checks import OPEN
from .checks import Check

CHAINS = (
    Check(
        "chain",
        "a run is the first of its chain exactly when it continues none",
        "SELECT run_key, first_run_key, continued_from FROM workflows "
        "WHERE (first_run_key = run_key) <> (continued_from IS NULL)",
    ),
    Check(
        "continued",
        "a run has a successor exactly when it closed by continuing as a new one",
        "SELECT run_key, close_reason, continued_to FROM workflows "
        "WHERE (COALESCE(close_reason, '-') = 'continued_as_new') <> (continued_to IS NOT NULL)",
    ),
    Check(
        "chain_links",
        "a chain is one line: a run has one successor, and both name each other and stand under the same parent",
        "SELECT w.run_key, n.run_key AS successor FROM workflows w JOIN workflows n ON n.run_id = w.continued_to "
        "WHERE COALESCE(n.continued_from, '') <> w.run_id UNION ALL "
        "SELECT w.run_key, n.run_key FROM workflows n JOIN workflows w ON w.run_id = n.continued_from "
        "WHERE COALESCE(w.continued_to, '') <> n.run_id OR n.first_run_key <> w.first_run_key "
        "OR n.namespace <> w.namespace OR COALESCE(n.parent_key, 0) <> COALESCE(w.parent_key, 0) "
        "OR COALESCE(n.parent_chain_key, 0) <> COALESCE(w.parent_chain_key, 0)",
    ),
    Check(
        "carried_signals",
        "signals that came after the last accepted turn of a run are in the run that continues it",
        "SELECT w.run_key, s.name, COUNT(*) AS unread FROM workflows w "
        "JOIN workflows n ON n.run_id = w.continued_to AND n.archived_at IS NULL "
        "JOIN workflow_signals s ON s.run_key = w.run_key AND s.event_seq > w.seen_seq "
        "GROUP BY w.run_key, n.run_key, s.name HAVING COUNT(*) > "
        "(SELECT COUNT(*) FROM workflow_signals c WHERE c.run_key = n.run_key AND c.name = s.name)",
    ),
    Check(
        "child_namespace",
        "a child lives in its parent's namespace",
        "SELECT c.run_key, c.namespace, p.namespace AS of_parent FROM workflows c "
        "JOIN workflows p ON p.run_key = c.parent_key WHERE c.namespace <> p.namespace",
    ),
)

_OUTCOMES = (  # of children; an id that was taken is the outcome of none
    "(e.event_type = 'ChildWorkflowCompleted' OR (e.event_type = 'ChildWorkflowFailed' AND COALESCE(e.payload, '') = "
    "REPLACE(COALESCE(e.payload, ''), '\"close_reason\":\"already_started\"', '')))"
)

FAMILIES = (
    Check(
        "child_link",
        "a child knows its parent's chain and what the end of that means to it; no other run does",
        "SELECT c.run_key, c.parent_key, c.parent_chain_key, c.parent_close FROM workflows c "
        "LEFT JOIN workflows p ON p.run_key = c.parent_key "
        "WHERE (c.parent_key IS NULL) <> (c.parent_chain_key IS NULL) "
        "OR (c.parent_key IS NOT NULL AND COALESCE(c.parent_close, '-') NOT IN "
        "('request_cancel', 'terminate', 'abandon')) OR p.first_run_key <> c.parent_chain_key",
    ),
    Check(
        "child_started",
        "a child was started by one command of its parent, whose history says so",
        "SELECT c.parent_key AS run_key, COUNT(*) AS children, COUNT(DISTINCT c.child_command) AS commands "
        "FROM workflows c JOIN workflows w ON w.run_key = c.parent_key WHERE c.continued_from IS NULL "
        "AND w.archived_at IS NULL GROUP BY c.parent_key HAVING COUNT(c.child_command) <> "
        "COUNT(DISTINCT c.child_command) OR COUNT(*) > (SELECT COUNT(*) FROM workflow_events e "
        "WHERE e.run_key = c.parent_key AND e.event_type = 'ChildWorkflowStarted')",
    ),
    Check(
        "child_told",
        "while a chain is open, the end of each of its children stands in its histories, once",
        "SELECT f.chain AS run_key, SUM(f.ended) AS ended, SUM(f.told) AS told FROM ("
        "SELECT c.parent_chain_key AS chain, 1 AS ended, 0 AS told FROM workflows c "
        f"WHERE c.parent_chain_key IS NOT NULL AND c.status NOT IN {OPEN} AND c.close_reason <> 'continued_as_new' "
        "UNION ALL SELECT w.first_run_key AS chain, 0 AS ended, 1 AS told FROM workflow_events e "
        f"JOIN workflows w ON w.run_key = e.run_key WHERE {_OUTCOMES}) f "
        f"WHERE f.chain IN (SELECT o.first_run_key FROM workflows o WHERE o.status IN {OPEN}) "
        "AND f.chain NOT IN (SELECT a.first_run_key FROM workflows a WHERE a.archived_at IS NOT NULL) "
        "GROUP BY f.chain HAVING SUM(f.ended) <> SUM(f.told)",
    ),
    Check(
        "child_left_open",
        "an open child of a closed chain is to be abandoned, was asked to end, or will be seen to",
        "SELECT c.run_key, p.run_key AS parent, c.parent_close FROM workflows c "
        "JOIN workflows p ON p.first_run_key = c.parent_chain_key AND p.close_reason <> 'continued_as_new' "
        f"WHERE c.parent_chain_key IS NOT NULL AND c.status IN {OPEN} AND c.parent_close <> 'abandon' "
        # a child may have known of the request and yet gone on in another run
        "AND NOT (c.parent_close = 'request_cancel' AND p.close_reason <> 'terminated' "
        "AND (c.cancel_requested_at IS NOT NULL OR c.continued_from IS NOT NULL)) "
        "AND NOT EXISTS (SELECT 1 FROM followups f WHERE f.run_key = c.parent_chain_key)",
    ),
    Check(
        "has_children",
        "a run that has started a child knows it, and so do those that continue it",
        "SELECT w.run_key, c.run_key AS child FROM workflows w JOIN workflows c ON c.parent_key = w.run_key "
        "WHERE NOT w.has_children UNION ALL SELECT n.run_key, w.run_key FROM workflows n "
        "JOIN workflows w ON w.run_id = n.continued_from WHERE w.has_children AND NOT n.has_children",
    ),
    Check(
        "followup_chain",
        "what is to be done afterwards is about a chain that there is",
        "SELECT f.run_key, f.kind FROM followups f "
        "WHERE NOT EXISTS (SELECT 1 FROM workflows w WHERE w.run_key = f.run_key) "
        "AND NOT EXISTS (SELECT 1 FROM workflows n WHERE n.first_run_key = f.run_key AND n.continued_from IS NOT NULL)",
    ),
)
