"""Runs, for those who start, steer and look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..domain.errors import Invalid
from ..domain.errors import NotFound
from ..domain.filters import GROUPS
from ..domain.filters import NEWEST_FIRST
from ..domain.filters import search_of
from ..domain.requests import ListFilter
from ..domain.requests import RunRef
from ..jsontext import loads
from ..store import lists
from ..store import reads
from ..store.store import Store
from .committer import Committer
from .records import event_record
from .records import run_record
from .references import find
from .steering import Names
from .steering import Steering
from .steering import as_ref


class Workflows(Steering):
    """The runs of an engine."""

    def __init__(self, store: Store, committer: Committer, names: Names) -> None:
        super().__init__(committer, names, store.settings)
        self._store = store

    def describe(self, ref: RunRef | str) -> dict[str, Any]:
        """Give a run's record. Raises NotFound, AmbiguousNamespace."""
        with self._store.read() as db:
            return run_record(find(db, as_ref(ref)))

    def list(self, wanted: ListFilter) -> tuple[Sequence[dict[str, Any]], str | None]:
        """Give records, newest first, and the cursor of the next page, if there is one. Raises Invalid, TooSlow."""
        search = search_of(wanted)
        with self._store.search() as db:
            found, cursor = lists.workflows(db, search)
        return [run_record(seen) for seen in found], cursor

    def count(self, wanted: ListFilter, *, group_by: str | None = None) -> dict[str, Any]:
        """Count runs: `count`, and with `group_by` (one of GROUPS) the `groups`, the largest first.

        `truncated` says whether there are more groups than are told. Where a page begins and ends is none of it.
        Raises Invalid, TooSlow.
        """
        if group_by is not None and group_by not in GROUPS:
            raise Invalid(f"group_by: must be one of {', '.join(GROUPS)}", code="invalid_filter")
        search = search_of(wanted)
        if search.order != NEWEST_FIRST:
            raise Invalid("q: a count has no order: leave ORDER BY out", code="invalid_filter")
        with self._store.search() as db:
            if group_by is None:
                return {"count": lists.count(db, search)}
            found, truncated = lists.groups(db, search, group_by)
            whole = lists.count(db, search) if truncated else sum(count for _, count in found)
        groups = [{"value": value, "count": count} for value, count in found]
        return {"count": whole, "group_by": group_by, "groups": groups, "truncated": truncated}

    def children(self, ref: RunRef | str, wanted: ListFilter) -> tuple[Sequence[dict[str, Any]], str | None]:
        """Give the children of a run and of those that it continues, paged as `list` is.

        Raises NotFound, AmbiguousNamespace, Invalid.
        """
        with self._store.search() as db:
            run = find(db, as_ref(ref)).run
            of_run = replace(wanted, namespace=run.namespace, parent_chain_key=run.first_run_key)
            found, cursor = lists.workflows(db, search_of(of_run))
        return [run_record(seen) for seen in found], cursor

    def tree(self, ref: RunRef | str, *, limit: int = 1000) -> dict[str, Any]:
        """Give a run and all below it, each with its `children`, oldest first; at most `limit` runs in all.

        `truncated` says whether there are more. Raises NotFound, AmbiguousNamespace.
        """
        with self._store.read() as db:
            top = find(db, as_ref(ref))
            below, truncated = lists.descendants(db, top.run.first_run_key, limit - 1)
        nodes: dict[int, dict[str, Any]] = {top.run.first_run_key: {**run_record(top), "children": []}}
        for seen in below:
            node: dict[str, Any] = {**run_record(seen), "children": []}
            above = nodes.get(seen.run.parent_chain_key or 0)
            if above is not None:
                above["children"].append(node)
            nodes.setdefault(seen.run.first_run_key, node)
        return {**nodes[top.run.first_run_key], "truncated": truncated}

    def events(
        self, ref: RunRef | str, *, after_seq: int = 0, before_seq: int = reads.MAX_SEQ
    ) -> Sequence[dict[str, Any]]:
        """Give a run's history; payloads are JSON text. Raises NotFound, AmbiguousNamespace."""
        with self._store.read() as db:
            run = find(db, as_ref(ref)).run
            found = reads.events(db, run.run_key, after_seq=after_seq, before_seq=before_seq)
        return [event_record(run, *event) for event in found]

    def page_of_events(
        self, ref: RunRef | str, *, after_seq: int = 0, before_seq: int = reads.MAX_SEQ, limit: int = 1000,
        descending: bool = False,
    ) -> tuple[Sequence[dict[str, Any]], bool]:  # fmt: skip
        """Give up to `limit` events of a history (fewer, where they are large), and whether more follow.

        Raises NotFound, AmbiguousNamespace.
        """
        with self._store.read() as db:
            run = find(db, as_ref(ref)).run
            found, more = reads.page_of_events(
                db, run.run_key, after_seq=after_seq, before_seq=before_seq, limit=limit, descending=descending
            )
        return [event_record(run, *event) for event in found], more

    def state(self, ref: RunRef | str) -> dict[str, Any]:
        """Give what a run shows to queries. Raises NotFound, AmbiguousNamespace."""
        state, seen = self._shown(ref)
        return {"state": state, **seen}

    def state_value(self, ref: RunRef | str, name: str) -> dict[str, Any]:
        """Give one value of what a run shows to queries. Raises NotFound, AmbiguousNamespace."""
        state, seen = self._shown(ref)
        if not isinstance(state, dict) or name not in state:
            raise NotFound(f"not found: workflow {as_ref(ref).workflow_id} shows no {name}")
        return {"value": state[name], **seen}

    def _shown(self, ref: RunRef | str) -> tuple[Any, dict[str, Any]]:
        with self._store.read() as db:
            run = find(db, as_ref(ref)).run
            found = reads.snapshot(db, run.run_key)
        if found is None:
            raise NotFound(f"not found: workflow {as_ref(ref).workflow_id} shows no state")
        state, event_seq, created_at = found
        return loads(state), {"event_seq": event_seq, "created_at": created_at}
