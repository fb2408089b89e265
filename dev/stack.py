"""`make stack`: Postlog on a local PostgreSQL and a local Apache Kafka, until Ctrl-C.

Their data stays below the temporary folder between runs; `--clean` deletes it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from config.env import private_folder
from dev.cache import ServiceError, own_folder
from dev.kafka_server import KafkaServer
from dev.postgres_server import ALIASES, PostgresServer
from dev.run import ROOT, run
from dev.server import lock_folder

# One for each user and clone.
CLONE = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
FOLDER = Path(tempfile.gettempdir()) / f"postlog-stack-{os.getuid()}-{CLONE}"
ENV_FILE = ROOT / "var" / "stack.env"


def main(folder: Path = FOLDER, env_file: Path = ENV_FILE) -> int:
    own_folder(folder)
    postgres = PostgresServer(folder / "postgresql", fsync=True)
    kafka = KafkaServer(folder / "kafka", long_lived=True)
    try:
        print("Starting PostgreSQL and Apache Kafka ...", flush=True)  # noqa: T201
        postgres.start()
        kafka.start()
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            **{name: postgres.url(f"postlog_{alias}") for alias, name in ALIASES.items()},
        }
        for alias in ALIASES:
            postgres.create_database(f"postlog_{alias}")
        private_folder(env_file.parent)
        env_file.write_text("".join(f"{name}={value}\n" for name, value in env.items()))
        os.environ["ENV_FILE"] = str(env_file)
        for arguments in (["migrate", "--verbosity", "0"], ["demo"]):
            subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, check=True)
        address = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
        print(f"{address} - Ctrl-C stops it. For manage.py: ENV_FILE=var/stack.env")  # noqa: T201
        return run({**os.environ})
    finally:
        kafka.stop()
        postgres.stop()


def clean() -> str | int:
    """Delete the data, unless a stack runs on it."""
    try:
        for name in ("postgresql", "kafka"):
            if (FOLDER / name).exists():
                lock_folder(FOLDER / name).close()
    except ServiceError as error:
        return str(error)
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--clean"]:
        sys.exit(clean())
    try:
        sys.exit(main())
    except (ServiceError, KeyboardInterrupt) as error:
        sys.exit(str(error) or 0)
