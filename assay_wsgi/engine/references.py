"""From the name that a caller gives to the run that is meant: over all namespaces, by run id."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from ..domain.errors import AmbiguousNamespace
from ..domain.errors import NotFound
from ..domain.requests import RunRef
from ..domain.requests import Where
from ..domain.requests import is_within
from ..store import reads
from ..store.connection import Connection


def named(
    read: Callable[[], AbstractContextManager[Connection]], ref: RunRef
) -> tuple[str, str, int | None, str | None]:
    """Resolve a reference to (namespace, workflow_id, run_key, run_id). Raises NotFound, AmbiguousNamespace."""
    namespace = ref.namespace
    if not isinstance(namespace, str):
        with read() as db:
            namespace = _only_namespace(db, ref.workflow_id, namespace)
    run_key = None if ref.run_id is None else _key_in(ref)
    return namespace, ref.workflow_id, run_key, ref.run_id


def find(db: Connection, ref: RunRef) -> reads.SeenRun:
    """Read the run that is meant. Raises NotFound, AmbiguousNamespace."""
    namespace = ref.namespace
    if not isinstance(namespace, str):
        namespace = _only_namespace(db, ref.workflow_id, namespace)
    if ref.run_id is None:
        seen = reads.newest_run(db, namespace, ref.workflow_id)
    else:
        seen = reads.run_by_key(db, _key_in(ref))
        if seen is not None and (seen.run.run_id != ref.run_id or seen.run.namespace != namespace):
            seen = None
    if seen is None:
        raise NotFound(f"not found: workflow {ref.workflow_id}")
    return seen


def _only_namespace(db: Connection, workflow_id: str, where: Where) -> str:
    namespaces = [name for name in reads.namespaces_of(db, workflow_id) if is_within(name, where)]
    if not namespaces:
        raise NotFound(f"not found: workflow {workflow_id}")
    if len(namespaces) > 1:
        raise AmbiguousNamespace(f"workflow {workflow_id} is in several namespaces: name one", namespaces=namespaces)
    return namespaces[0]


def _key_in(ref: RunRef) -> int:
    """Read the key at the end of a run id. Raises NotFound for one that is not this workflow's."""
    head, _, key = (ref.run_id or "").rpartition("-")
    if head != f"run-{ref.workflow_id}" or not (key.isascii() and key.isdigit() and len(key) <= 16):
        raise NotFound(f"not found: run {ref.run_id} of workflow {ref.workflow_id}")
    return int(key)
