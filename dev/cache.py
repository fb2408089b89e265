"""What is fetched or made once a machine: a folder of this user's own below the temporary folder.

Anybody may make a folder of any name there, and programs are run from it. So nothing in it is
used unless it belongs to this user and nobody else can write to it, and Kafka's jars, whose
publisher signs nothing that the downloader checks, are compared with kafka-jars.sha256.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

# With a backend for its logging, without which it says nothing of why it does not start.
KAFKA = "org.apache.kafka:kafka_2.13:4.3.1+org.slf4j:slf4j-simple:1.7.36"
SUMS = Path(__file__).parent / "kafka-jars.sha256"  # as sha256sum writes it
CACHE = Path(tempfile.gettempdir()) / f"postlog-cache-{os.getuid()}"


class ServiceError(Exception):
    """A server did not start; the message or the end of its log says why."""


def own_folder(folder: Path) -> Path:
    """Make it, if it is not there. Others can read it (PostgreSQL does not run as root), and only
    this user can write to it; else raises `ServiceError`."""
    folder.mkdir(mode=0o755, exist_ok=True)
    found = folder.lstat()  # of a link itself: whoever made it chose where it leads
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ServiceError(
            f"{folder} is not a folder that only you can write to, so somebody else may have put "
            "programs there. Look at what it is, delete it, and start again."
        )
    folder.chmod(0o755)  # whatever the umask is
    return folder


def locked(done: Path, make: Callable[[Path], None]) -> Path:
    """Make something below the cache once, however many processes ask; `done` holds its path."""
    for folder in reversed([done.parent, *done.parent.relative_to(CACHE).parents]):
        own_folder(CACHE / folder)
    with (done.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or not Path(done.read_text()).exists():
            make(done)
    return Path(done.read_text())


def kafka_cache() -> Path:
    """Another folder for other jars."""
    return CACHE / f"kafka-{sha256(SUMS.read_bytes()).hexdigest()[:16]}"


def kafka_jars() -> Path:
    """The folder of Kafka's jars, fetched and compared once a machine."""
    return locked(kafka_cache() / "folder", _fetch_kafka)


def _fetch_kafka(done: Path) -> None:
    import jgo

    environment = jgo.build(KAFKA, cache_dir=done.parent / "jars")
    compare_jars(environment.path, SUMS)
    done.write_text(str(environment.path))


def compare_jars(folder: Path, sums: Path) -> None:
    """Raises `ServiceError` unless the jars below the folder are those of the list, all of them
    and no other."""
    lines = [line.split() for line in sums.read_text().splitlines()]
    expected = {name: digest for digest, name in lines}
    found = {jar.name: sha256(jar.read_bytes()).hexdigest() for jar in folder.rglob("*.jar")}
    wrong = sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    if wrong:
        raise ServiceError(
            f"These jars of Kafka's are not those that {sums.name} lists: {', '.join(wrong)}. "
            f"Nothing of them was run. Delete {folder} and ~/.m2/repository and try again; if it "
            "happens again, whatever serves them has been changed."
        )
