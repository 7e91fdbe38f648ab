"""The crash matrix's cases of API keys, and of operations that the audit log tells of."""

from __future__ import annotations

from hashlib import sha256

from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import KeyReplaced
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import PrefixTaken
from assay_wsgi.domain.keys import prefix_of
from assay_wsgi.domain.requests import NewKey
from assay_wsgi.engine.acting import Actor
from assay_wsgi.engine.operations import CreateKey
from assay_wsgi.engine.operations import OnBehalf
from assay_wsgi.engine.operations import Operation
from assay_wsgi.engine.operations import RevokeKey
from assay_wsgi.engine.operations import RotateKey
from tests.engine.crash_steps import SAME
from tests.engine.crash_steps import Act
from tests.engine.crash_steps import Case
from tests.engine.crash_steps import Steps
from tests.engine.crash_steps import do
from tests.engine.crash_steps import keyed
from tests.engine.crash_steps import start


def secret(ns: str, name: str = "") -> str:
    """Give the key of a trial: another one in each."""
    return "assay_" + sha256(f"{ns}{name}".encode()).hexdigest()


def a_key(ns: str) -> CreateKey:
    """Make a key for the trial's namespace."""
    return CreateKey(None, NewKey(label="l", roles=("viewer",), namespaces=(ns,)), secret(ns), "me")


def by_ada(ns: str, operation: Operation) -> OnBehalf:
    """Have it done on somebody's behalf: a line in the audit log goes along."""
    return OnBehalf(operation, Actor(name="ada", action="act", namespace=ns, target="it", request_id="r"))


def create_an_api_key(ns: str) -> Steps:
    yield from ()
    return Act([a_key(ns)])


def create_an_api_key_under_a_key(ns: str) -> Steps:
    yield from ()
    return Act([keyed(ns, by_ada(ns, a_key(ns)))])


def rotate_an_api_key(ns: str) -> Steps:
    yield do(a_key(ns))
    return Act([RotateKey(None, prefix_of(secret(ns)), secret(ns, "new"), "me", 60.0)])


def revoke_an_api_key(ns: str) -> Steps:
    yield do(a_key(ns))
    return Act([RevokeKey(None, prefix_of(secret(ns)))])


def start_a_run_on_behalf(ns: str) -> Steps:
    yield from ()
    return Act([by_ada(ns, start(ns))])


KEYS = (
    Case(create_an_api_key, again=(PrefixTaken,), needs_nothing_else=True),
    Case(create_an_api_key_under_a_key, again=(SAME,), needs_nothing_else=True),
    Case(rotate_an_api_key, again=(KeyReplaced,), needs_nothing_else=True),
    Case(revoke_an_api_key, again=(NotFound,), needs_nothing_else=True),
    Case(start_a_run_on_behalf, again=(AlreadyStarted,)),
)
