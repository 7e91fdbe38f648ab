"""What the operator may say of an issuer, and what is refused before anything is served."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.auth.trust import Origin
from assay_wsgi.auth.trust import Trust
from assay_wsgi.settings import JwtSettings
from assay_wsgi.settings import SettingsError


def trust(**said: Any) -> Trust:
    return Trust.of(JwtSettings(**{"issuer": "https://idp.example", "audience": "assay", **said}))


@pytest.mark.parametrize(
    ("issuer", "origin", "discovery"),
    [
        ("https://idp.example", ("https", "idp.example", 443), "https://idp.example/.well-known/openid-configuration"),
        ("https://Idp.Example/", ("https", "idp.example", 443), "https://Idp.Example/.well-known/openid-configuration"),
        ("https://a.b:8443/r/x", ("https", "a.b", 8443), "https://a.b:8443/r/x/.well-known/openid-configuration"),
        (
            "http://localhost:9000",
            ("http", "localhost", 9000),
            "http://localhost:9000/.well-known/openid-configuration",
        ),
        ("http://[::1]:9000", ("http", "::1", 9000), "http://[::1]:9000/.well-known/openid-configuration"),
        ("http://127.0.0.1", ("http", "127.0.0.1", 80), "http://127.0.0.1/.well-known/openid-configuration"),
    ],
)
def test_an_issuer_is_taken_as_it_is_written(issuer: str, origin: tuple[str, str, int], discovery: str):
    taken = trust(issuer=issuer)

    assert (taken.issuer, taken.origin, taken.discovery_url) == (issuer, Origin(*origin), discovery)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"audience": None}, "ASSAY_AUTH_AUDIENCE: say --auth-audience with --auth-issuer"),
        ({"audience": " "}, "ASSAY_AUTH_AUDIENCE: say --auth-audience with --auth-issuer"),
        ({"issuer": "http://idp.example"}, "ASSAY_AUTH_ISSUER: .* is not https"),
        ({"issuer": "http://127.0.0.1.evil.example"}, "ASSAY_AUTH_ISSUER: .* is not https"),
        ({"issuer": "http://10.0.0.1"}, "ASSAY_AUTH_ISSUER: .* is not https"),
        ({"issuer": "idp.example"}, "ASSAY_AUTH_ISSUER: .* is no URL: write https://host/path"),
        ({"issuer": ""}, "ASSAY_AUTH_ISSUER: .* is no URL"),
        ({"issuer": "file:///etc/passwd"}, "ASSAY_AUTH_ISSUER: .* is no URL"),
        ({"issuer": "https://"}, "ASSAY_AUTH_ISSUER: .* is no URL"),
        ({"issuer": "https://idp.example/\n"}, "ASSAY_AUTH_ISSUER: .* is no URL"),
        ({"issuer": "https://idp.example:x"}, "ASSAY_AUTH_ISSUER: "),
        ({"issuer": "https://ada:secret@idp.example"}, "ASSAY_AUTH_ISSUER: a URL with a user or a password"),
        ({"issuer": "https://idp.example?x=1"}, "ASSAY_AUTH_ISSUER: .* has a query or a fragment"),
        ({"issuer": "https://idp.example#x"}, "ASSAY_AUTH_ISSUER: .* has a query or a fragment"),
        ({"algorithms": "HS256"}, "ASSAY_AUTH_ALGORITHMS: 'HS256' will not do: write some of RS256"),
        ({"algorithms": "RS256,none"}, "ASSAY_AUTH_ALGORITHMS: 'none' will not do"),
        ({"algorithms": "rs256"}, "ASSAY_AUTH_ALGORITHMS: 'rs256' will not do"),
        ({"algorithms": " ,"}, "ASSAY_AUTH_ALGORITHMS: none is named"),
        ({"jwks_hosts": "https://keys.example/x"}, "ASSAY_AUTH_JWKS_HOSTS: .* write hosts, commas between them"),
        ({"jwks_hosts": "a@b"}, "ASSAY_AUTH_JWKS_HOSTS: .* write hosts"),
        ({"jwks_hosts": "keys.example:x"}, "ASSAY_AUTH_JWKS_HOSTS: "),
        ({"leeway_secs": 301.0}, "ASSAY_AUTH_LEEWAY_SECS: at most 300 seconds"),
        ({"role_claim": "groups"}, "ASSAY_AUTH_ROLE_MAP: .* no value of it gives a role"),
        ({"role_map": "a=admin"}, "ASSAY_AUTH_ROLE_MAP: ASSAY_AUTH_ROLE_CLAIM must name the claim"),
        ({"role_claim": "groups", "role_map": "a=root"}, "ASSAY_AUTH_ROLE_MAP: .* 'root' is no role"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(said: dict[str, Any], says: str):
    with pytest.raises(SettingsError, match=says):
        trust(**said)


def test_a_password_is_not_repeated():
    with pytest.raises(SettingsError) as refused:
        trust(issuer="https://ada:secret@idp.example")

    assert "secret" not in str(refused.value)
