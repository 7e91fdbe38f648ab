"""Settings: defaults, what is refused and in which words, and the database's URL."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from assay_wsgi.settings import AuthSettings
from assay_wsgi.settings import BackendUrl
from assay_wsgi.settings import EngineSettings
from assay_wsgi.settings import HttpSettings
from assay_wsgi.settings import JwtSettings
from assay_wsgi.settings import ProcessSettings
from assay_wsgi.settings import Settings
from assay_wsgi.settings import SettingsError
from assay_wsgi.settings import declarations
from assay_wsgi.settings import is_loopback
from assay_wsgi.settings import masked
from assay_wsgi.settings import read_bind

PACKAGE = Path(__file__).parent.parent / "assay_wsgi"


def test_without_an_environment_the_defaults_hold():
    settings = Settings.from_env({})

    assert settings == Settings()
    assert settings.database_url == "sqlite://assay-workflow.db"
    assert settings.engine.workflow_lease_secs == 30.0
    assert settings.engine.notice_keep_secs == 3 * 86400
    assert settings.address == ("127.0.0.1", 8080)


def test_every_kind_of_value_is_read():
    settings = Settings.from_env(
        {
            "DATABASE_URL": "postgres://localhost/assay",
            "ASSAY_WF_DISPATCH_TIMEOUT_SECS": "2.5",
            "ASSAY_BATCH_WEIGHT": " 40 ",
            "ASSAY_PIN_CORES": "yes",
            "ASSAY_BIND": "[::1]:9000",
            "ASSAY_LOG_LEVEL": "debug",
        }
    )

    assert settings.backend.dialect == "postgres"
    assert settings.engine.workflow_lease_secs == 2.5
    assert settings.engine.batch_weight == 40
    assert settings.http.pin_cores is True
    assert settings.address == ("::1", 9000)
    assert settings.process.log_level == "debug"


def test_threads_and_processes_follow_the_database_unless_they_are_set():
    on_sqlite = Settings.from_env({})
    on_postgres = Settings.from_env({"DATABASE_URL": "postgresql://localhost/assay"})
    set_by_hand = Settings.from_env({"ASSAY_HTTP_THREADS": "40", "ASSAY_WEB_WORKERS": "3"})

    assert (on_sqlite.http_threads, on_sqlite.web_workers) == (160, 1)
    assert on_postgres.http_threads == 96
    assert on_postgres.web_workers >= 1
    assert (set_by_hand.http_threads, set_by_hand.web_workers) == (40, 3)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("ASSAY_STORE_WAIT_SECS", "soon", "'soon' is not a number (of seconds)"),
        ("ASSAY_STORE_WAIT_SECS", "0", "0 seconds will not do: at least 0.1"),
        ("ASSAY_STORE_WAIT_SECS", "nan", "nan seconds will not do: at least 0.1"),
        ("ASSAY_BATCH_WEIGHT", "2.5", "'2.5' is not a whole number (of rows)"),
        ("ASSAY_PIN_CORES", "2", "'2' is neither 0 nor 1"),
        ("ASSAY_BIND", "8080", "write host:port"),
        ("ASSAY_BIND", "::1:8080", "in brackets"),
        ("ASSAY_LOG_LEVEL", "loud", "write debug, info, warning or error"),
        ("DATABASE_URL", "mysql://localhost/assay", "is no database URL"),
        ("ASSAY_HTTP_THREADS", "32", "not more than the 32 of ASSAY_HTTP_RESERVED_THREADS"),
        ("ASSAY_STORE_WAIT_SEC", "3", "did you mean ASSAY_STORE_WAIT_SECS?"),
        ("ASSAY_COLOUR", "red", "no such setting"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(name, value, complaint):
    with pytest.raises(SettingsError) as refusal:
        Settings.from_env({name: value})

    assert str(refusal.value).startswith(f"{name}: ")
    assert complaint in str(refusal.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(SettingsError) as refusal:
        Settings.from_env({"ASSAY_BATCH_WEIGHT": "many", "ASSAY_PIN_CORES": "maybe", "ASSAY_COLOUR": "red"})

    assert [line.split(":")[0] for line in str(refusal.value).splitlines()] == [
        "ASSAY_COLOUR",
        "ASSAY_BATCH_WEIGHT",
        "ASSAY_PIN_CORES",
    ]


def test_names_that_others_own_are_left_alone():
    others = {
        "ASSAY_ENGINE_URL": "http://engine:8080",
        "ASSAY_API_KEY": "secret",
        "ASSAY_API_KEY_FILE": "/run/key",
        "ASSAY_NAMESPACE": "main",
        "ASSAY_QUEUE": "default",
        "ASSAY_TEST_DATABASE_URL": "postgresql://localhost/test",
        "ASSAY_ARCHIVE_S3_BUCKET": "old-runs",
        "ASSAY_WHITELABEL_NAME": "Shop",
        "HOME": "/root",
    }

    assert Settings.from_env(others) == Settings()


def test_no_setting_is_declared_twice():
    names = [declared.env for _, _, declared, _ in declarations()]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/lib/assay.db", "/var/lib/assay.db"),
        ("sqlite:////var/lib/assay.db", "/var/lib/assay.db"),
        ("sqlite://assay.db", "assay.db"),
        ("sqlite://data/assay.db?mode=rwc", "data/assay.db"),
        ("sqlite://:memory:", ":memory:"),
    ],
)
def test_a_sqlite_url_names_a_file(url, path):
    backend = BackendUrl.parse(url)

    assert backend == BackendUrl(dialect="sqlite", path=path)
    assert backend.in_memory is (path == ":memory:")
    assert backend.shown == f"sqlite://{path}"


@pytest.mark.parametrize(
    ("url", "dsn"),
    [
        ("postgres://ann@db/assay", "postgres://ann@db/assay"),
        ("postgresql://ann:pw@db:5433/assay?mode=rwc", "postgresql://ann:pw@db:5433/assay"),
        (
            "postgresql://a,b/assay?mode=x&target_session_attrs=read-write",
            "postgresql://a,b/assay?target_session_attrs=read-write",
        ),
        ("postgresql://ann:@/assay?host=/tmp/pg", "postgresql://ann:@/assay?host=/tmp/pg"),
    ],
)
def test_a_postgres_url_is_handed_to_the_driver(url, dsn):
    assert BackendUrl.parse(url) == BackendUrl(dialect="postgres", dsn=dsn)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "is no database URL"),
        ("assay.db", "is no database URL"),
        ("sqlite:assay.db", "is no database URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///var/lib/", "names no file"),
        ("sqlite:///:memory:", "two slashes"),
        ("sqlite://assay.db?cache=shared", "take no option 'cache'"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url, complaint):
    with pytest.raises(ValueError, match=r"sqlite|database") as refusal:
        BackendUrl.parse(url)

    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:hunter2@db:5433/assay", "postgresql://ann:***@db:5433/assay"),
        ("postgresql://db/assay?user=ann&password=hunter2", "postgresql://db/assay?user=ann&password=***"),
        ("postgresql://ann@db/assay", "postgresql://ann@db/assay"),
        ("postgresql://ann:@/assay?host=/tmp/pg", "postgresql://ann:@/assay?host=/tmp/pg"),
    ],
)
def test_passwords_are_never_shown(url, shown):
    assert masked(url) == shown
    assert BackendUrl.parse(url).shown == shown


def test_a_refused_url_does_not_show_its_password_either():
    with pytest.raises(SettingsError) as refusal:
        Settings.from_env({"DATABASE_URL": "mysql://ann:hunter2@db/assay"})

    assert "hunter2" not in str(refusal.value)


def test_only_loopback_is_served_to_strangers_without_being_told_so():
    closed = Settings.from_env({})
    open_on_purpose = Settings.from_env({"ASSAY_INSECURE_NO_AUTH": "1", "ASSAY_BIND": "0.0.0.0:80"})

    open_on_purpose.refuse_open_door()
    closed.refuse_open_door()
    with pytest.raises(SettingsError, match="--insecure-no-auth"):
        closed.refuse_open_door("0.0.0.0")


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("127.evil.example", False),
    ],
)
def test_what_counts_as_loopback(host, ours):
    assert is_loopback(host) is ours


def test_a_bind_address_is_split():
    assert read_bind("example.org:80") == ("example.org", 80)
    with pytest.raises(ValueError, match="host:port"):
        read_bind("127.0.0.1:99999")


def test_every_setting_is_obeyed_somewhere():
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    groups = (Settings, EngineSettings, HttpSettings, AuthSettings, JwtSettings, ProcessSettings)
    names = [item.name for group in groups for item in dataclasses.fields(group) if "setting" in item.metadata]

    assert len(names) == len(list(declarations()))
    assert [name for name in names if not re.search(rf"\.{name}\b", code)] == []
