"""deploy/docker: what the image and the compose files say is run, as a container would run it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay_wsgi.cli.processes.serve import KILL_AFTER_SECS
from assay_wsgi.settings import Settings
from tests.deploy.container import DOCKER
from tests.deploy.container import Image
from tests.deploy.container import contained
from tests.deploy.container import needs_namespaces
from tests.serving import Process
from tests.serving import processes_in

ROOT = DOCKER.parent.parent
IMAGE = Image()
COMPOSE = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(DOCKER.glob("compose*.yaml"))}
OURS = {
    f"{file}:{name}": service
    for file, compose in COMPOSE.items()
    for name, service in compose["services"].items()
    if service["image"] == "assay-wsgi"
}
HELLO = {"workflow_type": "Hello", "workflow_id": "h1"}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    with processes_in(tmp_path) as start:
        yield start


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The only directory that a container may write to."""
    directory = tmp_path / "data"
    directory.mkdir()
    return directory


def environ_of(service: dict[str, Any], backend: str) -> dict[str, str]:
    """The environment of a service's container, with a database and an address of this test."""
    given = {**IMAGE.environ, **service.get("environment", {})}
    given.pop("PGPASSWORD", None)
    return {**given, "DATABASE_URL": backend, "ASSAY_BIND": "127.0.0.1:0"}


def command_of(service: dict[str, Any]) -> list[str]:
    return IMAGE.entrypoint + service.get("command", IMAGE.command)


def healthy(service: Process, directory: Path) -> bool:
    """What the image's HEALTHCHECK says of a running service."""
    environ = {**IMAGE.environ, "ASSAY_ENGINE_URL": f"http://{service.url()}"}
    return subprocess.run(contained(directory, IMAGE.healthcheck, environ), capture_output=True).returncode == 0


@needs_namespaces
def test_one_container_on_sqlite_needs_no_more_than_its_directory(run, data):
    service = COMPOSE["compose.sqlite.yaml"]["services"]["assay"]
    container = run(*contained(data, command_of(service), environ_of(service, f"sqlite://{data}/assay.db")))

    container.ready()

    assert healthy(container, data)
    assert container.post("/workflows", HELLO).status_code == 201
    container.popen.terminate()
    assert container.ends() == 0
    assert not healthy(container, data)
    assert "Traceback" not in container.said()
    assert {path.name for path in data.iterdir()} >= {"assay.db"}


@needs_namespaces
def test_web_and_sidecar_on_postgresql_need_nothing_but_room_for_what_is_temporary(run, data, postgres_url):
    web, sidecar = (COMPOSE["compose.yaml"]["services"][name] for name in ("web", "sidecar"))
    # The socket of the tests' PostgreSQL is in a directory of another user, which root alone may pass.
    containers = [
        run(*contained(data, command_of(service), environ_of(service, postgres_url), capabilities=",+dac_override"))
        for service in (web, sidecar)
    ]

    containers[0].ready()

    assert healthy(containers[0], data)
    assert containers[0].post("/workflows", HELLO).status_code == 201
    for container in containers:
        container.popen.terminate()
    assert [container.ends() for container in containers] == [0, 0]
    assert not any("Traceback" in container.said() for container in containers)


@needs_namespaces
def test_the_image_opens_its_door_only_when_told_to(run, data):
    container = run(
        *contained(data, IMAGE.entrypoint + IMAGE.command, IMAGE.environ | {"DATABASE_URL": f"sqlite://{data}/a.db"})
    )

    assert container.ends() == 2
    assert "ASSAY_INSECURE_NO_AUTH=1" in container.said()


def test_the_image_runs_as_nobody_of_importance():
    assert all(int(part) > 999 for part in IMAGE.user.split(":"))


def test_what_the_image_is_made_of_travels_and_nothing_else():
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    let_in = re.findall(r"^!(.*)$", (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}

    assert sources == set(let_in)
    assert all((ROOT / source).exists() for source in sources)


@pytest.mark.parametrize("name", OURS)
def test_every_container_of_ours_is_locked_up_and_its_settings_exist(name):
    service = OURS[name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    assert (DOCKER / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).exists()
    Settings.from_env({**IMAGE.environ, **service["environment"]})


@pytest.mark.parametrize("name", [name for name, service in OURS.items() if "ports" in service])
def test_whoever_serves_is_given_the_time_to_end_and_published_on_loopback_only(name):
    service = OURS[name]

    assert int(service["stop_grace_period"].removesuffix("s")) > Settings().http.graceful_secs + KILL_AFTER_SECS
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_database_is_asked_for_under_the_name_and_password_that_it_has():
    services = COMPOSE["compose.yaml"]["services"]
    database = services["postgres"]["environment"]

    for name in ("web", "sidecar"):
        asked = services[name]["environment"]
        assert asked["DATABASE_URL"] == f"postgresql://{database['POSTGRES_USER']}@postgres/{database['POSTGRES_DB']}"
        assert asked["PGPASSWORD"] == database["POSTGRES_PASSWORD"]
