"""A hot standby of a PostgreSQL server, which can be made the primary."""

import subprocess
from pathlib import Path

import psycopg2

from dev.postgres_server import PostgresServer


class ReplicaServer(PostgresServer):
    name = "PostgreSQL's replica"

    def __init__(self, folder: Path, primary: PostgresServer) -> None:
        super().__init__(folder)
        self._primary = primary

    def prepare(self) -> None:
        self.folder.chmod(0o777)  # for the user that the server runs as
        source = ["-h", "127.0.0.1", "-p", str(self._primary.port), "-U", "postgres"]
        subprocess.run(
            [
                str(self.install / "bin" / "pg_basebackup"),
                *(*source, "-D", str(self.data)),
                *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self.user,
        )

    def promote(self) -> None:
        self.execute("SELECT pg_promote()")

    def has_all(self) -> bool:
        """Whether it has replayed what the primary has written."""
        position = "SELECT pg_current_wal_lsn()"
        there = execute(self._primary, position)
        return bool(self.execute(f"SELECT pg_last_wal_replay_lsn() >= '{there}'::pg_lsn"))

    def execute(self, sql: str) -> object:
        return execute(self, sql)


def execute(server: PostgresServer, sql: str) -> object:
    connection = psycopg2.connect(server.url("postgres"))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]
    finally:
        connection.close()
