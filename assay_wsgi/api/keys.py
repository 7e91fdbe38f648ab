"""API keys: make, list, rotate, revoke."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint

from ..auth.door import FOUNDER
from ..auth.roles import Access
from ..domain.requests import ROLES
from ..domain.requests import NewKey
from ..engine.keys import ROTATION_GRACE_SECS
from . import checks
from . import records
from .access import caller
from .context import admission
from .context import door
from .context import engine
from .contract import Answer
from .contract import operation
from .exchange import names
from .fields import Body
from .fields import Checked
from .idempotency import idempotency
from .references import Id
from .references import InNamespace
from .references import PartQuery

_PREFIX = {"prefix": ("The key's prefix, with its dots or without them.", "assay_0badc0de")}
_Secs = partial(Checked, checks.number)

bp = Blueprint("assay_api_keys", __name__)


def roles(value: Any) -> tuple[str, ...]:
    """Check the roles of a key."""
    return tuple([checks.choice(one, ROLES) for one in checks.items(value, len(ROLES))])


class KeyBody(Body):
    """A key to make."""

    label = Id(load_default=None, says="For people, and for `idempotent`.")
    roles = Checked(
        roles, load_default=NewKey().roles,
        says="What its bearer may do, see [roles](roles.md); without it everything, as assay's own keys may.",
    )  # fmt: skip
    namespaces = Checked(
        names, load_default=None, says="Where; without it, wherever its maker may make keys: for an admin of all, all."
    )
    expires_in_secs = _Secs(1, load_default=None, says="When it ends; without it, never.")
    idempotent = Checked(checks.boolean, load_default=False, says="Be content with a live key of the same label.")


@bp.post("/api-keys")
@operation(
    access=Access.MANAGE,
    body=KeyBody,
    query=InNamespace,
    returns=records.NewKeyRecord,
    status=201,
    also=(200,),
    founds=True,
    example={"label": "packer", "roles": ["worker"], "namespaces": ["shop"]},
)
def create(body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Make a key: its `plaintext` is shown this once. 200 where one of the label was there already."""
    key = idempotency(raw)
    wanted = NewKey(**body, first=caller().principal is FOUNDER)
    with admission().waiting():
        record, created = engine().api_keys.create(wanted, where=query["namespace"], idempotency=key)
    return record if created else Answer(record, 200)


class KeysQuery(PartQuery):
    """Which keys, the oldest first."""

    namespace = Id(load_default=None, says="Keys that are for this namespace alone.")


@bp.get("/api-keys")
@operation(access=Access.MANAGE, query=KeysQuery, returns=records.KeyRecord, many=True, tagged=True)
def list_keys(query: dict[str, Any]) -> Any:
    """List the keys that are not revoked. The keys themselves are nowhere to be had."""
    return engine().api_keys.list(where=query["namespace"], limit=query["limit"], offset=query["offset"])


class RotationBody(Body):
    """How to replace a key."""

    grace_secs = _Secs(load_default=ROTATION_GRACE_SECS, says="For how long the old key still works.")


@bp.post("/api-keys/<prefix>/rotate")
@operation(
    access=Access.MANAGE,
    body=RotationBody,
    query=InNamespace,
    returns=records.NewKeyRecord,
    status=201,
    refuses=("not_found", "key_replaced"),
    names=_PREFIX,
    example={"grace_secs": 3600},
)
def rotate(prefix: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Make a key's successor, with the same rights; both work for a while."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().api_keys.rotate(
            prefix, grace_secs=body["grace_secs"], where=query["namespace"], idempotency=key
        )


@bp.delete("/api-keys/<prefix>")
@operation(
    access=Access.MANAGE,
    query=InNamespace,
    status=204,
    refuses=("not_found", "last_admin_key"),
    names=_PREFIX,
)
def revoke(prefix: str, query: dict[str, Any], raw: bytes) -> Any:
    """End a key. It opens no door any more, in no process after 5 s."""
    key = idempotency(raw)
    with admission().waiting():
        # Where nobody is asked for a key, the last one keeps nobody out.
        return engine().api_keys.revoke(prefix, where=query["namespace"], keep_last=door().asks, idempotency=key)
