"""An nginx of our own, as an ordinary process: deploy/nginx/assay.conf with other addresses, else unchanged."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import children
from tests.processes import until

REPOSITORY = Path(__file__).parent.parent.parent
CONF = REPOSITORY / "deploy" / "nginx" / "assay.conf"
# Debian keeps it where only root's path leads.
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="there is no nginx here")

_AROUND = """\
{user}
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
worker_processes 2;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/assay.conf;
}}
"""


class Nginx:
    """A running nginx."""

    def __init__(self, directory: Path, upstream: str) -> None:
        self.directory = directory
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        conf = CONF.read_text(encoding="utf-8")
        for shipped, ours in (
            ("server 127.0.0.1:8080;", f"server {upstream};"),
            ("    listen 80;\n", f"    listen 127.0.0.1:{self.port};\n"),
            ("    listen [::]:80;\n", ""),
        ):
            assert conf.count(shipped) == 1, shipped
            conf = conf.replace(shipped, ours)
        (directory / "assay.conf").write_text(conf)
        user = "user root;" if os.geteuid() == 0 else ""
        (directory / "nginx.conf").write_text(_AROUND.format(directory=directory, user=user))
        self._argv = [str(NGINX), "-p", str(directory), "-e", f"{directory}/error.log", "-c", f"{directory}/nginx.conf"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def check(self) -> str:
        """What `nginx -t` says of the configuration."""
        done = subprocess.run([*self._argv, "-t"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self) -> None:
        """Start it and wait until its workers are there."""
        self._process = subprocess.Popen(self._argv)
        until(lambda: len(self.workers()) == 2)

    def workers(self) -> list[int]:
        assert self._process is not None
        return children(self._process.pid)

    def reload(self) -> None:
        """Do what `nginx -s reload` does, and wait until new workers serve."""
        old = set(self.workers())
        subprocess.run([*self._argv, "-s", "reload"], check=True)
        until(lambda: len(set(self.workers()) - old) == 2)

    def complaints(self) -> list[str]:
        """The errors in its log."""
        return [line for line in (self.directory / "error.log").read_text().splitlines() if "[notice]" not in line]

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=60)


@contextmanager
def nginx_before(upstream: str, directory: Path) -> Iterator[Nginx]:
    """Run nginx before a service at host:port for as long as the block lasts."""
    directory.mkdir()
    server = Nginx(directory, upstream)
    server.check()
    server.start()
    try:
        yield server
    finally:
        server.stop()
