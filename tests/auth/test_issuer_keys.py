"""How often the issuer is asked for its keys, who waits for that, and how long keys are used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from assay_wsgi.auth import jwks
from assay_wsgi.auth.issuer import IssuerError
from assay_wsgi.auth.jwk import KeySet
from assay_wsgi.auth.jwk import read_keys
from assay_wsgi.auth.jwks import Keys
from assay_wsgi.domain.errors import InvalidToken
from assay_wsgi.domain.errors import IssuerUnavailable
from tests.auth.tokens import signer
from tests.conftest import Clock
from tests.processes import until

MINUTE, HOUR = 60.0, 3600.0


class Fetching:
    """What is asked when keys are: how often, whether it answers, and with which keys."""

    def __init__(self, *kids: str) -> None:
        self.kids = list(kids)
        self.times = 0
        self.away = False
        self.open = threading.Event()  # while it is not set, nobody gets an answer
        self.open.set()

    def __call__(self) -> KeySet:
        self.times += 1
        self.open.wait()
        if self.away:
            raise IssuerError("no route to host")
        return read_keys([signer(kid).jwk for kid in self.kids], ["ES256"])


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no failure: what is waited for here always comes."""
    monkeypatch.setattr(jwks, "WAIT_SECS", 60.0)


@pytest.fixture
def fetching() -> Iterator[Fetching]:
    made = Fetching("first")
    yield made
    made.open.set()


@pytest.fixture
def keys(fetching: Fetching, clock: Clock) -> Keys:
    return Keys(fetching, clock)


def settled(keys: Keys) -> None:
    """Wait until no fetch is under way."""
    until(lambda: keys._under_way is None)


def found(keys: Keys, kid: str) -> bool:
    return list(keys.find(kid)) == ["ES256"]


def test_nobody_is_asked_before_the_first_token_comes(keys: Keys, fetching: Fetching):
    assert fetching.times == 0

    assert found(keys, "first")
    assert fetching.times == 1


def test_keys_are_used_without_asking_again(keys: Keys, fetching: Fetching, clock: Clock):
    assert found(keys, "first")
    clock.advance(5 * MINUTE)

    assert all(found(keys, "first") for _ in range(1000))
    assert fetching.times == 1


def test_a_thousand_unknown_kids_make_one_fetch_in_thirty_seconds(keys: Keys, fetching: Fetching, clock: Clock):
    assert found(keys, "first")
    clock.advance(30)

    for period in range(3):
        for number in range(1000):
            with pytest.raises(InvalidToken, match="a kid that the issuer does not have"):
                keys.find(f"made-up-{period}-{number}")
        clock.advance(29.9 if period == 0 else 30)

    assert fetching.times == 1 + 2


def test_a_key_that_the_issuer_has_begun_to_use_is_found_at_once(keys: Keys, fetching: Fetching, clock: Clock):
    assert found(keys, "first")
    clock.advance(30)
    fetching.kids = ["first", "second"]

    assert found(keys, "second")
    assert fetching.times == 2


def test_a_key_that_the_issuer_has_withdrawn_is_forgotten(keys: Keys, fetching: Fetching, clock: Clock):
    assert found(keys, "first")
    fetching.kids = ["second"]
    clock.advance(10 * MINUTE + 1)

    with pytest.raises(InvalidToken):
        keys.find("first")


def test_keys_in_use_are_fetched_anew_beside_the_requests(keys: Keys, fetching: Fetching, clock: Clock):
    assert found(keys, "first")
    fetching.open.clear()
    clock.advance(5 * MINUTE + 1)

    assert found(keys, "first")
    until(lambda: fetching.times == 2)
    clock.advance(4 * MINUTE)
    assert found(keys, "first")

    fetching.open.set()
    settled(keys)
    clock.advance(5 * MINUTE)
    assert found(keys, "first")
    assert fetching.times == 2


def test_keys_are_kept_for_a_day_while_the_issuer_is_away(keys: Keys, fetching: Fetching, clock: Clock):
    assert found(keys, "first")
    fetching.away = True

    for _ in range(24):
        clock.advance(HOUR)
        assert found(keys, "first")
        settled(keys)
    assert fetching.times == 1 + 24

    clock.advance(1)
    with pytest.raises(IssuerUnavailable):
        keys.find("first")


def test_the_end_of_an_outage_is_seen_within_thirty_seconds(keys: Keys, fetching: Fetching, clock: Clock):
    fetching.away = True
    with pytest.raises(IssuerUnavailable) as refused:
        keys.find("first")
    assert refused.value.members == {"retry_after_secs": 30}

    fetching.away = False
    clock.advance(29)
    with pytest.raises(IssuerUnavailable) as refused:
        keys.find("first")
    assert refused.value.members == {"retry_after_secs": 1}

    clock.advance(1)
    assert found(keys, "first")


def test_in_an_outage_nobody_can_say_that_a_kid_is_none_of_the_issuers(keys: Keys, fetching: Fetching, clock: Clock):
    assert found(keys, "first")
    fetching.away = True
    clock.advance(30)

    with pytest.raises(IssuerUnavailable):
        keys.find("second")


def test_those_who_come_together_share_one_fetch_and_few_of_them_wait(keys: Keys, fetching: Fetching):
    fetching.open.clear()
    with ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(keys.find, "first") for _ in range(20)]
        until(lambda: sum(one.done() for one in asking) == 20 - jwks.MAX_WAITING)
        fetching.open.set()

    refused = [one.exception() for one in asking if one.exception() is not None]
    assert [type(error) for error in refused] == [IssuerUnavailable] * (20 - jwks.MAX_WAITING)
    assert all(error.members == {"retry_after_secs": 1} for error in refused)
    assert fetching.times == 1
    assert keys._waiting == 0


def waits_for(keys: Keys, kid: str) -> Callable[[], BaseException | None]:
    """Ask in a thread of its own. Gives how to wait for the refusal."""
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            keys.find(kid)
        except IssuerUnavailable as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: keys._waiting == 1)

    def refusal() -> BaseException | None:
        thread.join()
        return caught[0] if caught else None

    return refusal


def test_nobody_waits_for_an_answer_that_is_overdue(keys: Keys, fetching: Fetching, clock: Clock):
    fetching.open.clear()
    first = waits_for(keys, "first")

    clock.advance(jwks.WAIT_SECS - 0.01)
    with pytest.raises(IssuerUnavailable):  # after the hundredth of a second that is left
        keys.find("first")
    clock.advance(0.01)
    with pytest.raises(IssuerUnavailable):
        keys.find("first")

    assert keys._waiting == 1
    fetching.open.set()
    assert first() is None


def test_a_fetch_that_does_not_begin_does_not_bar_the_next(
    keys: Keys, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
):
    def no_room(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", no_room)
        with pytest.raises(RuntimeError):
            keys.find("first")

    assert found(keys, "first")


def test_a_fetch_that_ends_in_a_fault_does_not_bar_the_next(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    broken = [True]
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def fetch() -> KeySet:
        if broken.pop():
            raise RuntimeError("a fault of ours")
        return read_keys([signer("first").jwk], ["ES256"])

    keys = Keys(fetch, clock)
    with pytest.raises(IssuerUnavailable):
        keys.find("first")

    broken.append(False)
    clock.advance(30)
    assert found(keys, "first")
