"""From a command to its effect in the query, at a steady rate, all on this machine."""

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

from benchmarks.http import SITE, Client, granian
from benchmarks.measure import Result
from benchmarks.serve import sign_in
from benchmarks.setup import ROOT

RATE = 200  # commands a second
SECONDS = 10
CLIENTS = 16
WARM_UP = 200


def results() -> Iterator[Result]:
    token = sign_in("writer")
    workers = [
        subprocess.Popen([sys.executable, "manage.py", *command], cwd=ROOT)
        for command in (["runrelay"], ["runconsumer", "--no-relay"])
    ]
    try:
        with granian(SITE) as port:
            once(Client(port, {"Authorization": f"Token {token}"}), time.perf_counter())
            measure(port, token, WARM_UP)
            times = measure(port, token, RATE * SECONDS)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()
    workload = f"{RATE} new posts/s for {SECONDS} s, open loop, each then read with its token"
    for name, index in (("201 to visible", 0), ("intended start to visible", 1)):
        cuts = statistics.quantiles([pair[index] for pair in times], n=100)
        for percent, limit in ((50, 15.0), (99, 100.0)):
            yield Result(
                name=f"{name}, p{percent}",
                workload=workload,
                ours=cuts[percent - 1] * 1000,
                limit=limit,
                against="the figure asked for",
                unit="ms",
                target=1.0,
                higher_is_better=False,
            )


def measure(port: int, token: str, count: int) -> list[tuple[float, float]]:
    """Of each command the seconds from its 201, and from when it was to be sent, until the
    query showed it. A client that is late does not move the start (no coordinated omission)."""
    begun = time.perf_counter() + 0.5
    starts: SimpleQueue[float | None] = SimpleQueue()
    for number in range(count):
        starts.put(begun + number / RATE)
    found: list[tuple[float, float]] = []

    def work() -> None:
        client = Client(port, {"Authorization": f"Token {token}"})
        while not starts.empty():
            start = starts.get()
            assert start is not None
            time.sleep(max(0.0, start - time.perf_counter()))
            found.append(once(client, start))

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def once(client: Client, start: float) -> tuple[float, float]:
    body = json.dumps({"message": "How long until this is seen?"})
    answer = json.loads(client.ask("POST", "/api/v1/commands/new-post/", body))
    created = time.perf_counter()
    path = (
        f"/api/v1/queries/find-post-by-id/?post_id={answer['post_id']}"
        f"&consistency_token={answer['consistency_token']}"
    )
    while client.status("GET", path) == 503:  # not yet, as it says; try again
        pass
    visible = time.perf_counter()
    return visible - created, visible - start
