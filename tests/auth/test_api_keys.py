"""From an API key to its bearer: known for seconds, refused in time, written down when it was used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from assay_wsgi.auth.door import ANYBODY
from assay_wsgi.auth.door import FOUNDER
from assay_wsgi.auth.door import STREAM_SECS
from assay_wsgi.auth.door import Door
from assay_wsgi.auth.keys import KNOWN_SECS
from assay_wsgi.auth.keys import UNKNOWN_SECS
from assay_wsgi.auth.keys import Keys
from assay_wsgi.auth.principal import Principal
from assay_wsgi.auth.roles import EVERYWHERE
from assay_wsgi.auth.throttle import FAILURES_A_MINUTE
from assay_wsgi.auth.tickets import TICKET_SECS
from assay_wsgi.auth.tickets import Tickets
from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.errors import InvalidToken
from assay_wsgi.domain.errors import RateLimited
from assay_wsgi.domain.errors import Unauthorized
from assay_wsgi.domain.requests import NewKey
from assay_wsgi.engine import Engine
from tests.auth.scenes import key
from tests.conftest import Clock

STRANGE = "assay_" + "0" * 64


@pytest.fixture
def backend(sqlite_url: str) -> str:
    """Who is let in is decided outside of the database: one kind will do."""
    return sqlite_url


@pytest.fixture
def since() -> Clock:
    """The clock that memories grow old by."""
    return Clock(0.0)


@pytest.fixture
def keys(engine: Engine, since: Clock) -> Keys:
    return Keys(engine.store, since)


def test_a_key_names_its_bearer_and_grants_its_roles(engine: Engine, keys: Keys) -> None:
    scoped = keys.verify(key(engine, "viewer", "worker", namespaces=("shop", "hall")))
    every = key(engine, "operator")

    assert scoped.roles == {"shop": {"viewer", "worker"}, "hall": {"viewer", "worker"}}
    assert keys.verify(every).roles == {"*": {"operator"}}
    assert keys.verify(every).name == f"key:{every[:14]}"


@pytest.mark.parametrize(
    "token", [STRANGE, "", "assay_", "assay_" + "0" * 63, "assay_" + "A" * 64, "assay_" + "0" * 65, "\xff" * 70, "x"]
)
def test_what_is_no_key_of_ours_is_refused(keys: Keys, token: str) -> None:
    with pytest.raises(Unauthorized):
        keys.verify(token)


def test_a_key_that_was_revoked_elsewhere_opens_nothing_after_five_seconds(
    engine: Engine, keys: Keys, since: Clock
) -> None:
    key(engine, "admin")
    token = key(engine, "viewer")
    keys.verify(token)
    engine.api_keys.revoke(token[:14])

    since.advance(KNOWN_SECS - 0.1)
    keys.verify(token)  # it was known a moment ago
    since.advance(0.1)

    with pytest.raises(Unauthorized):
        keys.verify(token)
    assert KNOWN_SECS < 5


def test_a_key_stops_at_the_moment_it_expires_however_well_it_is_known(
    engine: Engine, keys: Keys, clock: Clock
) -> None:
    token = key(engine, "viewer", expires_in_secs=2.0)
    clock.advance(1.9)
    keys.verify(token)

    clock.advance(0.1)

    with pytest.raises(Unauthorized):
        keys.verify(token)


def test_a_new_key_is_known_a_second_after_it_was_refused(engine: Engine, keys: Keys, since: Clock) -> None:
    token = key(engine, "viewer")
    other = Keys(engine.store, since)
    with engine.store.administer() as db:  # as if it came later
        db.run("UPDATE api_keys SET key_hash = 'later' || key_hash")
    with pytest.raises(Unauthorized):
        other.verify(token)
    with engine.store.administer() as db:
        db.run("UPDATE api_keys SET key_hash = substr(key_hash, 6)")

    since.advance(UNKNOWN_SECS)

    assert other.verify(token).name.startswith("key:")


def test_a_flood_of_bad_keys_drives_out_no_good_one(engine: Engine, keys: Keys, monkeypatch) -> None:
    monkeypatch.setattr("assay_wsgi.auth.keys._REMEMBERED_AT_MOST", 3)
    token = key(engine, "viewer")
    keys.verify(token)

    for n in range(10):
        with pytest.raises(Unauthorized):
            keys.verify(f"assay_{n:064x}")
    with engine.store.administer() as db:
        db.run("DELETE FROM api_keys")

    assert keys.verify(token)


def test_when_a_key_was_used_is_written_with_the_next_unit_and_once_a_minute(
    engine: Engine, keys: Keys, clock: Clock
) -> None:
    token = key(engine, "viewer")
    keys.verify(token)
    clock.advance(7)
    engine.workflows.start("T", "any")  # takes it along
    (shown,) = engine.api_keys.list()

    clock.advance(30)
    keys.verify(token)
    engine.workflows.start("T", "another")

    assert shown["last_used_at"] == clock.now - 30
    assert engine.api_keys.list() == [shown]


# ------------------------------------------------------------------------------------------------ the door


@pytest.fixture
def make(engine: Engine) -> Callable[..., Door]:
    """Make a door."""
    return partial(Door, tickets=Tickets(engine.store))


class Issuer:
    """Takes one token."""

    def verify(self, token: str) -> Principal:
        if token != "good.jwt.token":
            raise InvalidToken("no")
        return Principal.of("https://id.example#ada", [("*", "viewer")])


def test_a_door_that_asks_nobody_lets_everybody_do_everything(make: Callable[..., Door]) -> None:
    assert make().admit(None, address="192.0.2.1") is ANYBODY
    assert make().admit("whatever", address="192.0.2.1") is ANYBODY
    assert make().redeem("whatever", address="192.0.2.1")[0] is ANYBODY
    assert not make().asks


def test_keys_and_tokens_open_the_same_door(
    make: Callable[..., Door], engine: Engine, keys: Keys, since: Clock
) -> None:
    door = make(keys=keys, tokens=Issuer(), clock=since)
    token = key(engine, "viewer")

    assert door.admit(token, address="").name == f"key:{token[:14]}"
    assert door.admit("good.jwt.token", address="").name == "https://id.example#ada"
    for bad in (STRANGE, "bad.jwt.token", None):
        with pytest.raises(Unauthorized):
            door.admit(bad, address="")


def test_without_an_issuer_a_token_opens_nothing(make: Callable[..., Door], keys: Keys) -> None:
    with pytest.raises(Unauthorized):
        make(keys=keys).admit("good.jwt.token", address="")


def test_who_fails_twenty_times_a_minute_waits_and_a_good_key_passes_all_the_same(
    make: Callable[..., Door], engine: Engine, keys: Keys, since: Clock
) -> None:
    door, good = make(keys=keys, clock=since), key(engine, "viewer")
    for _ in range(FAILURES_A_MINUTE):
        with pytest.raises(Unauthorized):
            door.admit(STRANGE, address="192.0.2.1")
    since.advance(20)

    with pytest.raises(RateLimited) as refused:
        door.admit(STRANGE, address="192.0.2.1")
    with pytest.raises(Unauthorized):
        door.admit(STRANGE, address="192.0.2.2")

    assert refused.value.members == {"retry_after_secs": 40}
    assert door.admit(good, address="192.0.2.1").name.startswith("key:")
    since.advance(40)
    with pytest.raises(Unauthorized):
        door.admit(STRANGE, address="192.0.2.1")


@pytest.mark.parametrize(
    ("token", "near", "founds"),
    [
        (None, True, True),
        (None, False, False),
        ("t" * 32, False, True),
        ("u" * 32, True, False),
        ("u" * 32, False, False),
    ],
)
def test_the_first_key_is_for_who_is_near_or_has_the_token_for_it(
    make: Callable[..., Door], keys: Keys, token: str | None, near: bool, founds: bool
) -> None:
    door = make(keys=keys, bootstrap_token="t" * 32)

    if founds:
        assert door.admit(token, address="", founding=True, near=near) is FOUNDER
    else:
        with pytest.raises(Unauthorized):
            door.admit(token, address="", founding=True, near=near)
    with pytest.raises(Unauthorized):
        door.admit(token, address="", founding=False, near=near)


def test_the_door_for_the_first_key_closes_for_good(
    make: Callable[..., Door], engine: Engine, keys: Keys, clock: Clock
) -> None:
    door = make(keys=keys, bootstrap_token="t" * 32)
    token = key(engine, "viewer")
    engine.api_keys.revoke(token[:14])
    clock.advance(100 * 86_400)
    engine.upkeep.prune()
    assert engine.api_keys.list() == []

    for credential in (None, "t" * 32):
        with pytest.raises(Unauthorized):
            door.admit(credential, address="", founding=True, near=True)
    with pytest.raises(Unauthorized):
        engine.api_keys.create(NewKey(first=True))


# ----------------------------------------------------------------------------------------------- tickets


def test_a_ticket_stands_for_its_bearer_once_in_whichever_process(
    make: Callable[..., Door], engine: Engine, keys: Keys
) -> None:
    one, two, token = make(keys=keys), make(keys=keys), key(engine, "viewer", "worker", namespaces=("shop",))
    bearer = one.admit(token, address="")
    ticket = one.ticket(token, bearer)

    assert two.redeem(ticket, address="")[0] == bearer
    for door in (one, two):
        with pytest.raises(Unauthorized):
            door.redeem(ticket, address="")


@pytest.mark.parametrize("ticket", ["", "x", "x" * 101, "assay_" + "0" * 64, "\x00", "\ud800"])
def test_what_is_no_ticket_is_refused_and_counts_as_a_failure(
    make: Callable[..., Door], keys: Keys, since: Clock, ticket: str
) -> None:
    door = make(keys=keys, clock=since)
    for _ in range(FAILURES_A_MINUTE):
        with pytest.raises(Unauthorized):
            door.redeem(ticket, address="192.0.2.1")

    with pytest.raises(RateLimited):
        door.redeem(ticket, address="192.0.2.1")


def test_a_ticket_that_nobody_used_in_time_is_good_no_more_and_goes(
    make: Callable[..., Door], engine: Engine, keys: Keys, clock: Clock
) -> None:
    door, token = make(keys=keys), key(engine, "viewer")
    ticket = door.ticket(token, door.admit(token, address=""))
    unused = door.ticket(token, door.admit(token, address=""))
    clock.advance(TICKET_SECS)

    with pytest.raises(Unauthorized):
        door.redeem(ticket, address="")
    engine.upkeep.prune()
    with engine.store.read() as db:
        assert db.one("SELECT COUNT(*) FROM tickets")[0] == 0
    assert unused not in repr(door)


def test_what_a_ticket_opened_ends_with_the_key_that_it_stood_for(
    make: Callable[..., Door], engine: Engine, keys: Keys, since: Clock
) -> None:
    key(engine, "admin")
    door, token = make(keys=keys), key(engine, "viewer")
    _, by_ticket = door.redeem(door.ticket(token, door.admit(token, address="")), address="")
    by_key = door.watch(token)
    assert (by_ticket(), by_key()) == (True, True)

    engine.api_keys.revoke(token[:14])
    since.advance(KNOWN_SECS)

    assert (by_ticket(), by_key()) == (False, False)


def test_what_a_ticket_for_a_token_opened_ends_after_ten_minutes(
    make: Callable[..., Door], keys: Keys, since: Clock
) -> None:
    door, token = make(keys=keys, tokens=Issuer(), clock=since), "good.jwt.token"
    _, good = door.redeem(door.ticket(token, door.admit(token, address="")), address="")
    watched = door.watch(token)

    since.advance(STREAM_SECS)

    assert (good(), watched(), door.watch("bad.jwt.token")(), door.watch(None)()) == (False, True, False, False)


def test_no_key_is_for_all_namespaces_by_a_namespace_of_that_name(engine: Engine) -> None:
    with pytest.raises(Invalid, match="leave namespaces out for a key that is for all of them"):
        key(engine, "viewer", namespaces=("shop", EVERYWHERE))
