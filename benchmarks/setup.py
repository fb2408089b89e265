"""PostgreSQL with fsync and Apache Kafka, fresh, and Django on them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.kafka_server import KafkaServer
from dev.postgres_server import PostgresServer
from dev.server import temporary_folder

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def servers() -> Iterator[None]:
    """Start both, migrate, and set Django up in this process. Children inherit it."""
    postgres = PostgresServer(temporary_folder("bench-postgresql"), fsync=True)
    kafka = KafkaServer(temporary_folder("bench-kafka"), long_lived=True)
    try:
        postgres.start()
        kafka.start()
        for name in ("bench_write", "bench_read", "bench_peer"):
            postgres.create_database(name)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "WRITE_DATABASE_URL": postgres.url("bench_write"),
            "READ_DATABASE_URL": postgres.url("bench_read"),
            "PEER_DATABASE_URL": postgres.url("bench_peer"),
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA_TOPIC": "bench",
            "DEBUG": "off",
            "SECRET_KEY": "for-benchmarks-only" * 4,
            "ALLOWED_HOSTS": "127.0.0.1",
            "API_RATE": "0",
        }
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True
        )
        subprocess.run(
            [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"],
            cwd=ROOT,
            check=True,
        )
        import django

        django.setup()
        yield
    finally:
        kafka.stop()
        kafka.wipe()
        postgres.stop()
        postgres.wipe()
