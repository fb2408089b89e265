"""From a command to its effect in the query, at a steady rate, by stages, all on this machine.

On PostgreSQL and Kafka; and on SQLite and the embedded log, where it also counts what the processes
cost while nobody asks for anything.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.http import SITE, Client, granian
from benchmarks.measure import Result
from benchmarks.serve import sign_in
from messaging.conf import postlog

SECONDS = int(os.environ.get("BENCH_SECONDS", 20))
CLIENTS = 16
WARM_UP_S = 3
IDLE_S = 60
AGAIN_S = 0.01  # at once, those who are refused would take the CPU that all wait for
# Commands a second, and the milliseconds asked for: the median, and 99 of 100.
SERVERS = {20: (20.0, 60.0), 100: (30.0, 150.0)}
EMBEDDED = {10: (20.0, 60.0)}
IDLE_PERCENT = 3.0  # of a core, all processes together
# Each is counted from the one before. What is taken is handed to the log at once; a consumer can
# have fetched it before the relay hears that it is published.
STAGES = ("stored", "taken", "published", "fetched", "applied", "seen")


class Change(NamedTuple):
    """One command: its stream, when it was to be sent, answered, and seen."""

    stream: str
    start: float
    stored: float
    seen: float


def results() -> Iterator[Result]:
    yield from at_rates("PostgreSQL, Kafka", SERVERS)
    with TemporaryDirectory() as folder:
        env = os.environ | {
            "WRITE_DATABASE_URL": f"sqlite:///{folder}/write.sqlite3",
            "READ_DATABASE_URL": f"sqlite:///{folder}/read.sqlite3",
            "KAFKA_BOOTSTRAP_SERVERS": "",
        }
        for command in (["manage.py", "migrate", "--verbosity", "0"], ["-m", "benchmarks.latency"]):
            done = subprocess.run(
                [sys.executable, *command], env=env, check=True, stdout=subprocess.PIPE
            )
        yield from (Result(**row) for row in json.loads(done.stdout))


def on_sqlite() -> Iterator[Result]:
    yield from at_rates("SQLite, embedded log", EMBEDDED)
    with TemporaryDirectory() as folder, running(Path(folder)):
        time.sleep(WARM_UP_S)
        before = cpu_of_children()
        time.sleep(IDLE_S)
        percent = 100 * (cpu_of_children() - before) / IDLE_S
    yield Result(
        name="idle CPU",
        workload=f"SQLite, embedded log; web, relay and consumer together, for {IDLE_S} s",
        ours=percent,
        limit=IDLE_PERCENT,
        against="the figure asked for",
        unit="% of a core",
        target=1.0,
        higher_is_better=False,
    )


def at_rates(where: str, rates: dict[int, tuple[float, float]]) -> Iterator[Result]:
    for rate, limits in rates.items():
        with TemporaryDirectory() as folder:
            with running(Path(folder)) as port:
                token = sign_in(f"writer{rate}")
                measure(port, token, rate, rate * WARM_UP_S)
                changes = measure(port, token, rate, rate * SECONDS)
            shares = stages(changes, Path(folder))
        cuts = statistics.quantiles([one.seen - one.start for one in changes], n=100)
        for percent, limit in zip((50, 99), limits, strict=True):
            yield Result(
                name=f"start to visible, p{percent}",
                workload=f"{where}, {rate}/s; {shares}",
                ours=cuts[percent - 1] * 1000,
                limit=limit,
                against="the figure asked for",
                unit="ms",
                target=1.0,
                higher_is_better=False,
            )


@contextmanager
def running(folder: Path) -> Iterator[int]:
    """Web, at this port, relay and consumer, which leave their stages in the folder."""
    workers = [
        subprocess.Popen([sys.executable, "-m", "benchmarks.stages", folder / name, *command])
        for name, command in (("relay", ["runrelay"]), ("consumer", ["runconsumer", "--no-relay"]))
    ]
    try:
        with granian(SITE, threads=postlog().web_threads) as port:  # half of which may wait
            yield port
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()


def measure(port: int, token: str, rate: int, count: int) -> list[Change]:
    """A client that is late does not move the start of a command (no coordinated omission)."""
    begun = time.monotonic() + 0.5
    starts: SimpleQueue[float] = SimpleQueue()
    for number in range(count):
        starts.put(begun + number / rate)
    found: list[Change] = []

    def work() -> None:
        client = Client(port, {"Authorization": f"Token {token}"})
        with suppress(Empty):
            while True:
                start = starts.get_nowait()
                time.sleep(max(0.0, start - time.monotonic()))
                found.append(once(client, start))

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def once(client: Client, start: float) -> Change:
    body = json.dumps({"message": "How long until this is seen?"})
    answer = json.loads(client.ask("POST", "/api/v1/commands/new-post/", body))
    stored = time.monotonic()
    path = (
        f"/api/v1/queries/find-post-by-id/?post_id={answer['post_id']}"
        f"&consistency_token={answer['consistency_token']}"
    )
    while client.status("GET", path) == 503:  # not yet, as it says; try again
        time.sleep(AGAIN_S)
    return Change(answer["post_id"], start, stored, time.monotonic())


def stages(changes: Sequence[Change], folder: Path) -> str:
    """The median of what each stage takes, in milliseconds."""
    moments = {"stored": {one.stream: one.stored for one in changes}}
    moments["seen"] = {one.stream: one.seen for one in changes}
    for file in folder.iterdir():
        moments |= json.loads(file.read_text())
    spent: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for change in changes:
        later = change.seen
        came = {
            stage: (later := min(later, moments[stage][change.stream])) for stage in STAGES[::-1]
        }
        for stage, before in zip(STAGES, [change.start, *(came[s] for s in STAGES)], strict=False):
            spent[stage].append(came[stage] - before)
    return ", ".join(f"{stage} {statistics.median(of) * 1000:.1f}" for stage, of in spent.items())


def cpu_of_children() -> float:
    """Seconds of CPU that all processes below this one have used."""
    parents, used = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = file.read_text().rpartition(")")[2].split()
            pid = int(file.parent.name)
            parents[pid], used[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return sum(used[pid] for pid in below - {os.getpid()}) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    import django

    django.setup()
    print(json.dumps([asdict(result) for result in on_sqlite()]))  # noqa: T201
