"""The service as its operator runs it: real processes, killed and ended, on both databases."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from assay_wsgi.store.store import Store
from tests.processes import children
from tests.processes import gone
from tests.processes import until
from tests.serving import ASSAY
from tests.serving import processes_in


@pytest.fixture
def run(tmp_path: Path) -> Iterator:
    with processes_in(tmp_path) as start:
        yield start


def registered(url: str) -> int:
    """How many workers have begun a session."""
    store = Store.open(url)
    try:
        with store.read() as db:
            return int(db.one("SELECT count(*) FROM workflow_workers")[0])
    finally:
        store.close()


def exchange(worker: str, wait_secs: float) -> dict[str, object]:
    return {
        "worker": {"identity": worker, "workflows": ["Hello"], "activities": []},
        "session": "s1",
        "n": 1,
        "queue": "default",
        "wait_secs": wait_secs,
        "workflow_slots": 1,
        "activity_slots": 0,
    }


def test_it_says_once_where_it_is_on_which_database_and_who_may_come(run, sqlite_url):
    service = run(*ASSAY, "serve", "--backend", sqlite_url, "--port", "0")
    service.ready()

    lines = [line for line in service.said().splitlines() if " at http://" in line]
    assert len(lines) == 1
    assert lines[0].endswith(f", database {sqlite_url}, no authentication (loopback only)")


def test_whatever_is_killed_comes_back(run, backend):
    service = run(*ASSAY, "serve", "--backend", backend, "--port", "0")
    service.ready()
    master, sidecar = service.child("gunicorn"), service.child("sidecar")

    worker = children(master)[0]
    os.kill(worker, signal.SIGKILL)
    until(lambda: worker not in children(master) and children(master))
    service.ready()

    orphans = children(master)
    os.kill(master, signal.SIGKILL)
    until(lambda: service.child("gunicorn") != master)
    service.ready()
    until(lambda: all(gone(orphan) for orphan in orphans))

    os.kill(sidecar, signal.SIGKILL)
    until(lambda: service.child("sidecar") != sidecar)
    assert service.post("/workflows", {"workflow_type": "Hello", "workflow_id": "h1"}).status_code == 201


def test_at_sigterm_long_polls_are_answered_and_everybody_leaves_in_peace(run, backend):
    service = run(*ASSAY, "serve", "--backend", backend, "--port", "0")
    service.ready()
    family = service.family()
    with ThreadPoolExecutor() as threads:
        polls = [threads.submit(service.post, f"/workers/w{n}/exchange", exchange(f"w{n}", 20)) for n in range(3)]
        until(lambda: registered(backend) == 3)

        service.popen.terminate()

        answers = [poll.result() for poll in polls]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert all(answer.json()["drain"] for answer in answers)
    assert service.ends() == 0
    assert all(gone(pid) for pid in family)
    assert "killed" not in service.said()


def test_a_web_process_that_is_asked_twice_to_end_ends_in_peace(run, sqlite_url):
    service = run(*ASSAY, "serve", "--backend", sqlite_url, "--port", "0")
    service.ready()
    worker = children(service.child("gunicorn"))[0]
    with requests.Session() as client:  # its open connection keeps the process for a moment
        client.get(f"http://{service.url()}/livez", timeout=10)

        os.kill(worker, signal.SIGTERM)
        until(lambda: children(service.child("gunicorn")) != [worker])
        if not gone(worker):
            os.kill(worker, signal.SIGTERM)
        until(lambda: gone(worker))

    service.ready()
    assert "Traceback" not in service.said()


def test_nothing_outlives_a_killed_parent(run, sqlite_url):
    service = run(*ASSAY, "serve", "--backend", sqlite_url, "--port", "0")
    service.ready()
    family = service.family()
    assert len(family) == 4  # the parent, the master, a web process, the sidecar

    service.popen.kill()
    service.ends()

    until(lambda: all(gone(pid) for pid in family))


def test_plain_gunicorn_beside_its_conf_and_a_sidecar_are_the_same_service(run, backend):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    gunicorn = run(
        sys.executable, "-m", "gunicorn", DATABASE_URL=backend, ASSAY_BIND=f"127.0.0.1:{port}", ASSAY_PIN_CORES="1"
    )
    sidecar = run(*ASSAY, "sidecar", "--backend", backend)

    assert gunicorn.ready() == {"ready": True, "database": "ok", "sidecar_leads": True, "draining": False}
    assert gunicorn.post("/workflows", {"workflow_type": "Hello", "workflow_id": "h1"}).status_code == 201
    assert len(os.sched_getaffinity(children(gunicorn.popen.pid)[0])) == 1

    gunicorn.popen.terminate()
    sidecar.popen.terminate()
    assert (gunicorn.ends(), sidecar.ends()) == (0, 0)


def test_at_sighup_new_processes_serve_before_the_old_ones_end(run, backend):
    service = run(*ASSAY, "serve", "--backend", backend, "--port", "0")
    service.ready()
    old = service.family()[1:]
    with ThreadPoolExecutor() as threads:
        poll = threads.submit(service.post, "/workers/w1/exchange", exchange("w1", 20))
        until(lambda: registered(backend) == 1)

        service.popen.send_signal(signal.SIGHUP)
        answer = poll.result()

    assert answer.json()["drain"]
    until(lambda: all(gone(pid) for pid in old))
    service.ready()
    assert service.post("/workflows", {"workflow_type": "Hello", "workflow_id": "h1"}).status_code == 201
    assert [service.said().count(f"the new {name} (pid ") for name in ("gunicorn", "sidecar")] == [1, 1]
    service.popen.terminate()
    assert service.ends() == 0


def test_at_sighup_plain_gunicorn_replaces_its_web_processes_and_each_keeps_to_a_core(run, postgres_url):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {"ASSAY_BIND": f"127.0.0.1:{port}", "ASSAY_WEB_WORKERS": "2", "ASSAY_PIN_CORES": "1"}
    gunicorn = run(sys.executable, "-m", "gunicorn", DATABASE_URL=postgres_url, **environ)
    old = until(lambda: children(gunicorn.popen.pid)[1:] and children(gunicorn.popen.pid))
    until(lambda: requests.get(f"http://{gunicorn.url()}/readyz", timeout=10).ok)

    gunicorn.popen.send_signal(signal.SIGHUP)
    until(lambda: all(gone(pid) for pid in old))

    new = children(gunicorn.popen.pid)
    cores = [
        until(lambda pid=pid: os.sched_getaffinity(pid) if len(os.sched_getaffinity(pid)) == 1 else None) for pid in new
    ]
    assert gunicorn.post("/workflows", {"workflow_type": "Hello", "workflow_id": "h1"}).status_code == 201
    assert len(new) == 2
    assert len(set.union(*cores)) == min(2, len(os.sched_getaffinity(0)))


def test_systemd_is_told_that_it_serves_once_it_does_and_when_it_reloads_and_ends(run, sqlite_url, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(60)
        manager.bind(f"{tmp_path}/notify")
        service = run(*ASSAY, "serve", "--backend", sqlite_url, "--port", "0", NOTIFY_SOCKET=f"{tmp_path}/notify")
        heard = [manager.recv(100)]
        assert requests.get(f"http://{service.url()}/readyz", timeout=10).ok

        service.popen.send_signal(signal.SIGHUP)
        heard += [manager.recv(100), manager.recv(100)]
        service.popen.terminate()
        heard.append(manager.recv(100))

    assert [told.partition(b"\n")[0] for told in heard] == [b"READY=1", b"RELOADING=1", b"READY=1", b"STOPPING=1"]
    assert service.ends() == 0


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"ASSAY_BIND": "0.0.0.0:0"}, "cannot listen at http://0.0.0.0:0: 0.0.0.0 can be reached"),
        ({"ASSAY_COLOUR": "red"}, "ASSAY_COLOUR: no such setting"),
    ],
)
def test_plain_gunicorn_refuses_what_assay_serve_refuses(run, environ, complaint):
    gunicorn = run(sys.executable, "-m", "gunicorn", **environ)

    assert gunicorn.ends() != 0
    assert complaint in gunicorn.said()
    assert "Traceback" not in gunicorn.said()


def test_two_servers_do_not_share_a_port_by_accident(run, sqlite_url):
    first = run(*ASSAY, "serve", "--backend", sqlite_url, "--port", "0")
    first.ready()
    port = first.url().rpartition(":")[2]

    second = run(*ASSAY, "serve", "--backend", sqlite_url, "--port", port)
    third = run(sys.executable, "-m", "gunicorn", DATABASE_URL=sqlite_url, ASSAY_BIND=f"127.0.0.1:{port}")

    assert (second.ends(), third.ends()) == (1, 1)
    assert "Address already in use" in second.said()
    assert "Address already in use" in third.said()


def test_a_sidecar_gives_up_the_lead_when_it_ends(run, backend, clock):
    Store.open(backend).close()
    sidecar = run(*ASSAY, "sidecar", "--backend", backend)
    until(lambda: "leading" in sidecar.said())

    sidecar.popen.terminate()

    assert sidecar.ends() == 0
    store = Store.open(backend)
    assert store.leases.holder("sidecar") is None
    store.close()


def test_a_sidecar_waits_for_a_file_that_is_not_there_and_makes_none(run, tmp_path):
    path = tmp_path / "typo.db"
    sidecar = run(*ASSAY, "sidecar", "--backend", f"sqlite://{path}")
    until(lambda: sidecar.said().count(f"no database at sqlite://{path}, next try in") >= 2)
    assert "there is no such file; `assay serve` or `assay db migrate` makes it" in sidecar.said()
    assert not path.exists()

    Store.open(f"sqlite://{path}").close()

    until(lambda: "leading owner=" in sidecar.said())
    sidecar.popen.terminate()
    assert sidecar.ends() == 0


def test_a_sidecar_waits_for_a_database_that_is_away(run):
    sidecar = run(*ASSAY, "sidecar", "--backend", "postgresql://127.0.0.1:1/assay")
    until(lambda: sidecar.said().count("no database at postgresql://127.0.0.1:1/assay, next try in") >= 3)

    sidecar.popen.terminate()

    assert sidecar.ends() == 0
    assert "Traceback" not in sidecar.said()
