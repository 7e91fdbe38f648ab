"""The service as it runs, with API keys and tokens of an issuer side by side, on both databases."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import pytest
import requests

from assay_wsgi.app import create_app
from assay_wsgi.engine import Engine
from assay_wsgi.settings import JwtSettings
from assay_wsgi.settings import Settings
from tests.auth.issuers import DISCOVERY
from tests.auth.issuers import Issuer
from tests.auth.issuers import issuer
from tests.auth.issuers import send
from tests.auth.tokens import signer
from tests.auth.tokens import token
from tests.contract.conftest import KINDS
from tests.contract.conftest import database
from tests.contract.service import Service
from tests.contract.service import serving
from tests.processes import until

if TYPE_CHECKING:
    from tests.databases import PostgresServer

ROLES = {
    "ASSAY_AUTH_ROLE_CLAIM": "groups",
    "ASSAY_AUTH_ROLE_MAP": "platform=admin; orders=operator@orders; orders=worker@orders; audit=viewer",
    "ASSAY_WEB_WORKERS": "1",
}


class Place:
    """A service, and the issuer that it believes."""

    def __init__(self, service: Service, idp: Issuer, log: Path) -> None:
        self.root = service.root
        self.idp = idp
        self.log = log

    def ask(self, method: str, path: str, bearer: str | None = None, **options: Any) -> requests.Response:
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        return requests.request(method, f"{self.root}/api/v1{path}", headers=headers, timeout=60, **options)

    def of(self, *groups: str, **claims: Any) -> str:
        """A good token of somebody in these groups."""
        return self.idp.token(groups=list(groups), **claims)

    def start(self, bearer: str | None, namespace: str) -> requests.Response:
        body = {"workflow_type": "Ship", "workflow_id": f"o-{secrets.token_hex(4)}", "namespace": namespace}
        return self.ask("POST", "/workflows", bearer, json=body)

    def namespace(self, name: str) -> None:
        """See to it that there is one."""
        assert self.ask("POST", "/namespaces", self.of("platform"), json={"name": name}).status_code in (201, 409)


def believing(idp: Issuer) -> tuple[str, ...]:
    return ("--auth-api-key", "--auth-issuer", idp.url, "--auth-audience", "assay", "--no-sidecar")


@pytest.fixture(scope="session")
def places(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Place]]:
    """Give the place of each kind, set up when it is first asked for."""
    found: dict[str, Place] = {}
    with ExitStack() as until_the_end:

        def of(kind: str) -> Place:
            if kind not in found:
                idp = until_the_end.enter_context(issuer(signer("first")))
                url = until_the_end.enter_context(database(kind, postgres, tmp_path_factory))
                log = tmp_path_factory.mktemp("signed-in") / "service.log"
                service = until_the_end.enter_context(serving(url, log, *believing(idp), **ROLES))
                found[kind] = Place(service, idp, log)
            return found[kind]

        yield of


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, places: Callable[[str], Place]) -> Place:
    return places(request.param)


def test_a_token_reaches_as_far_as_its_groups_do(place: Place):
    place.namespace("orders")

    assert place.start(place.of("orders"), "orders").status_code == 201
    assert place.start(place.of("orders", "audit"), "orders").status_code == 201
    assert place.start(place.of("audit"), "orders").status_code == 403
    elsewhere = place.start(place.of("orders"), "main")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "namespace_not_found")
    assert place.ask("GET", "/workflows?namespace=main", place.of("audit")).status_code == 200
    assert place.ask("GET", "/workflows?namespace=orders", place.of("orders")).status_code == 200
    assert place.ask("GET", "/workflows?namespace=main", place.of("orders")).status_code == 404


def test_a_token_of_no_group_that_is_listed_is_known_and_may_do_nothing(place: Place):
    refused = place.ask("GET", "/workflows", place.of("guests"))

    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_role")


def test_keys_open_the_door_beside_tokens(place: Place):
    made = place.ask("POST", "/api-keys", place.of("platform"), json={"label": "ci", "roles": ["viewer"]})
    assert made.status_code == 201
    key = made.json()["plaintext"]

    assert place.ask("GET", "/workflows", key).status_code == 200
    assert place.start(key, "main").status_code == 403


def test_all_bad_credentials_are_answered_alike_and_nobody_is_asked_for_a_key_twice(place: Place):
    assert place.ask("GET", "/workflows", place.of("audit")).status_code == 200
    rounds, stranger = place.idp.rounds, signer("stranger")
    bad = {
        "expired": place.of("platform", exp=1_700_000_600, iat=1_700_000_000),
        "another audience": place.idp.token("billing", groups=["platform"]),
        "of a stranger": place.idp.token(by=stranger, groups=["platform"]),
        "of a stranger, by our issuer's name": token(
            signer("first").header(), place.idp.claims(groups=["platform"]), stranger.sign
        ),
        "with its own key": token(
            stranger.header(jwk=stranger.jwk), place.idp.claims(groups=["platform"]), stranger.sign
        ),
        "a key that there is not": f"assay_{'0' * 64}",
        "nothing of the sort": "letmein",
    }

    answers = {name: place.ask("GET", "/workflows", credential) for name, credential in bad.items()}

    said = {name: {**answer.json(), "request_id": ""} for name, answer in answers.items()}
    assert {answer.status_code for answer in answers.values()} == {401}
    assert {answer.headers["WWW-Authenticate"] for answer in answers.values()} == {'Bearer error="invalid_token"'}
    assert all(body == said["expired"] for body in said.values())
    assert place.idp.rounds == rounds
    log = place.log.read_text()
    assert (
        f"a token was refused reason=another audience request_id={answers['another audience'].json()['request_id']}"
        in log
    )
    assert bad["another audience"] not in log


def test_it_is_said_at_the_start_whether_tokens_can_be_checked(place: Place):
    until(lambda: f"tokens can be checked issuer={place.idp.url} keys=1" in place.log.read_text())


def test_who_shows_nothing_is_asked_for_something(place: Place):
    refused = place.ask("GET", "/workflows")

    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert place.ask("GET", "/health").status_code == 200
    assert place.ask("GET", "/version").status_code == 200


def test_the_issuer_may_be_away_for_as_long_as_its_keys_are_known(place: Place):
    assert place.ask("GET", "/workflows", place.of("audit")).status_code == 200
    place.idp.answers[DISCOVERY] = send(b"", status=500)
    try:
        assert place.ask("GET", "/workflows", place.of("audit")).status_code == 200
    finally:
        del place.idp.answers[DISCOVERY]


def test_a_service_whose_issuer_is_away_starts_and_says_that_it_cannot_tell(
    engine: Engine, caplog: pytest.LogCaptureFixture
):
    with issuer(signer("first")) as idp:
        idp.answers[DISCOVERY] = send(b"", status=500)
        client = create_app(Settings(jwt=JwtSettings(issuer=idp.url, audience="assay")), engine).test_client()
        headers = {"Authorization": f"Bearer {idp.token()}"}

        answers = [client.get("/api/v1/workflows", headers=headers) for _ in range(3)]

        assert [(answer.status_code, answer.json["code"]) for answer in answers] == [(503, "issuer_unavailable")] * 3
        assert all(1 <= int(answer.headers["Retry-After"]) <= 30 for answer in answers)
        assert client.get("/api/v1/health").status_code == 200
        assert idp.rounds == 1
    assert f"every valid token of {idp.url} may do everything" in caplog.text
    assert f"{idp.url}{DISCOVERY} answers 500" in caplog.text
