"""`make stack`: Postlog on a local PostgreSQL and a local Apache Kafka, until Ctrl-C.

Their data stays below the temporary folder between runs; `--clean` deletes it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.services import KafkaServer, PostgresServer
from tests.support.modes import ALIASES
from tests.support.run import ROOT, run

FOLDER = Path(tempfile.gettempdir()) / f"postlog-stack-{os.getuid()}"
ENV_FILE = ROOT / "var" / "stack.env"


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    FOLDER.chmod(0o755)
    postgres = PostgresServer(FOLDER / "postgresql", fsync=True)
    kafka = KafkaServer(FOLDER / "kafka")
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
        ENV_FILE.parent.mkdir(exist_ok=True)
        ENV_FILE.write_text("".join(f"{name}={value}\n" for name, value in env.items()))
        os.environ["ENV_FILE"] = str(ENV_FILE)
        for arguments in (["migrate", "--verbosity", "0"], ["demo"]):
            subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, check=True)
        address = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
        print(f"{address} - Ctrl-C stops it. For manage.py: ENV_FILE=var/stack.env")  # noqa: T201
        return run({**os.environ})
    finally:
        kafka.stop()
        postgres.stop()


if __name__ == "__main__":
    if sys.argv[1:] == ["--clean"]:
        shutil.rmtree(FOLDER, ignore_errors=True)
        sys.exit(0)
    sys.exit(main())
