"""nginx as deploy/nginx.conf has it, before a server of a test. Debian's, where it can be had."""

import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from dev.server import Server, free_port, nobody, temporary_folder
from tests.support.processes import ROOT

NAME = "postlog.example"
DEPLOYED = ROOT / "deploy" / "nginx.conf"
FOLDERS = f"{os.environ.get('PATH', '')}:/usr/sbin:{ROOT}/.venv/nginx/usr/sbin"

# What a distribution's nginx.conf has, and what makes it a test's own.
AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    gzip on;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/postlog.conf;
}}
"""


NUMBERS = count()


class Nginx(Server):
    name = "nginx"
    death_signal = signal.SIGTERM  # its workers would outlive a master that is killed

    def __init__(self, folder: Path, upstream: int) -> None:
        super().__init__(folder)
        self.user = nobody()
        self.plain_port = free_port()
        self._upstream = upstream

    @staticmethod
    def program() -> str | None:
        return shutil.which("nginx", path=FOLDERS) if shutil.which("openssl") else None

    def prepare(self) -> None:
        if self.user:
            shutil.chown(self.folder, "nobody", "nogroup")
        make_certificate(self.folder)
        filled_in = DEPLOYED.read_text()
        for deployed, here in {
            "server 127.0.0.1:8000;": f"server 127.0.0.1:{self._upstream};",
            "listen 80": f"listen 127.0.0.1:{self.plain_port}",
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "/etc/ssl/postlog/": f"{self.folder}/",
        }.items():
            assert deployed in filled_in, deployed
            filled_in = filled_in.replace(deployed, here)
        (self.folder / "postlog.conf").write_text(filled_in)
        (self.folder / "nginx.conf").write_text(AROUND.format(folder=self.folder))

    def command(self) -> list[str]:
        config = ["-c", str(self.folder / "nginx.conf"), "-p", str(self.folder), "-e", "stderr"]
        return [str(self.program()), *config]

    def answers(self) -> bool:
        with suppress(OSError):
            self.connect(timeout=1).close()
            return True
        return False

    @cached_property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))

    def connect(self, address: str = "127.0.0.1", timeout: float = 30) -> ssl.SSLSocket:
        """A TLS connection, from one of this machine's own addresses: 127.*.*.*."""
        source, target = (address, 0), ("127.0.0.1", self.port)
        plain = socket.create_connection(target, timeout=timeout, source_address=source)
        return self.context.wrap_socket(plain, server_hostname=NAME)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        address: str = "127.0.0.1",
    ) -> tuple[int, Any, bytes]:
        """Status, headers and body."""
        connection = http.client.HTTPConnection(NAME)
        connection.sock = self.connect(address)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        try:
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


def make_certificate(folder: Path) -> None:
    files = ["-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *name, *files], check=True, capture_output=True
    )
    (folder / "privkey.pem").chmod(0o644)  # nginx runs as nobody, like the other servers


@contextmanager
def nginx_before(port: int) -> Iterator[Nginx]:
    nginx = Nginx(temporary_folder("test-nginx"), port)
    nginx.start()
    try:
        yield nginx
    finally:
        nginx.stop()
        nginx.wipe()


def new_address() -> str:
    """One of this machine's own that no test has used, so that nothing is counted for it."""
    number = next(NUMBERS)
    return f"127.{1 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
