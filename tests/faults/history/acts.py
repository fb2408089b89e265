"""Acts of violence: each begins, lasts for a while, and is ended. All are healed in the end."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import NamedTuple

from dev.cache import ServiceError
from messaging.testing.waiting import wait_until
from tests.faults.history.client import Away, Client
from tests.faults.history.sources import PROJECTIONS
from tests.faults.history.stack import (
    STAFF,
    End,
    Part,
    PostgresStack,
    SqliteStack,
    Stack,
    descendants,
    signal_all,
)

Begin = Callable[[Stack, random.Random], End | None]


@dataclass(frozen=True)
class Act:
    name: str
    begin: Begin
    kinds: tuple[str, ...]
    lasts_s: tuple[float, float]
    weight: int


ACTS: dict[str, Act] = {}
BOTH = ("sqlite", "postgresql")


class Entry(NamedTuple):
    """When the run does what. Made of the seed alone, before anything starts."""

    at_s: float
    act: str
    lasts_s: float
    seed: int

    def __str__(self) -> str:
        return f"{self.at_s:6.1f} s  {self.act}, for {self.lasts_s:.1f} s"


def act(
    *kinds: str, lasts_s: tuple[float, float] = (0.5, 4), weight: int = 1
) -> Callable[[Begin], Begin]:
    def register(begin: Begin) -> Begin:
        name = begin.__name__.replace("_", " ")
        ACTS[name] = Act(name, begin, kinds or BOTH, lasts_s, weight)
        return begin

    return register


def schedule(
    kind: str, seed: int, seconds: float, gap_s: tuple[float, float] = (0.5, 4)
) -> list[Entry]:
    """The same for the same arguments."""
    chance = random.Random(f"{kind} {seed}")
    possible = [one for one in ACTS.values() if kind in one.kinds]
    weights = [one.weight for one in possible]
    entries, at = [], 2.0
    while True:
        chosen = chance.choices(possible, weights)[0]
        lasts_s = chance.uniform(*chosen.lasts_s)
        if at + lasts_s > seconds:
            return entries
        entries.append(Entry(at, chosen.name, lasts_s, chance.randrange(2**31)))
        at += lasts_s + chance.uniform(*gap_s)


# --- processes ---------------------------------------------------------------------------------


def _some(stack: Stack, role: str, chance: random.Random) -> Part:
    running = [part for part in stack.of(role) if part.worker is not None]
    return chance.choice(running or stack.of(role))


def _kill(stack: Stack, role: str, chance: random.Random) -> End:
    part = _some(stack, role, chance)
    part.kill()
    return part.start


def _freeze(stack: Stack, role: str, chance: random.Random) -> End:
    pids = _some(stack, role, chance).pids()
    signal_all(pids, signal.SIGSTOP)
    return lambda: signal_all(pids, signal.SIGCONT)


@act(weight=2)
def kill_web(stack: Stack, chance: random.Random) -> End:
    return _kill(stack, "web", chance)


@act(weight=2)
def kill_relay(stack: Stack, chance: random.Random) -> End:
    return _kill(stack, "relay", chance)


@act(weight=3)
def kill_consumer(stack: Stack, chance: random.Random) -> End:
    return _kill(stack, "consumer", chance)


@act(lasts_s=(1, 1))
def kill_a_worker_of_web(stack: Stack, chance: random.Random) -> None:
    """The process that answers; the one that started it stays."""
    workers = _some(stack, "web", chance).pids()[1:]
    if workers:
        signal_all([chance.choice(workers)], signal.SIGKILL)


@act(lasts_s=(1, 9), weight=2)
def freeze_web(stack: Stack, chance: random.Random) -> End:
    return _freeze(stack, "web", chance)


@act(lasts_s=(1, 16), weight=2)
def freeze_relay(stack: Stack, chance: random.Random) -> End:
    return _freeze(stack, "relay", chance)


@act(lasts_s=(1, 16), weight=3)
def freeze_consumer(stack: Stack, chance: random.Random) -> End:
    return _freeze(stack, "consumer", chance)


@act(lasts_s=(2, 6))
def kill_all_consumers_and_relays(stack: Stack, chance: random.Random) -> End:
    parts = [*stack.of("consumer"), *stack.of("relay")]
    for part in parts:
        part.kill()
    return lambda: [part.start() for part in parts] and None


@act(lasts_s=(1, 3), weight=2)
def stop_or_add_a_consumer(stack: Stack, chance: random.Random) -> None:
    """In order. It stays away, or stays, until this act comes again."""
    last = stack.of("consumer")[-1]
    if last.wanted:
        last.stop()
    else:
        last.start()


@act(lasts_s=(1, 3))
def rolling_restart(stack: Stack, chance: random.Random) -> None:
    """Consumers, then relays, then web, one by one."""
    for role in ("consumer", "relay", "web"):
        for part in stack.of(role):
            if part.wanted:
                _replace(stack, part)


def _replace(stack: Stack, part: Part) -> None:
    part.stop()
    part.start()
    if part.role == "web":
        wait_until(stack.answers, f"{part.name} answers", 60)


# --- rebuilds ----------------------------------------------------------------------------------


def _ask_for_rebuilds(stack: Stack, projection: str | None = None) -> bool:
    client = Client("staff", stack.ports(), stack.tokens[STAFF])
    with closing(client), suppress(Away):
        body = {"projection": projection} if projection else {}
        return client.send("restore-read-db", body).status == 202
    return False


@act(lasts_s=(1, 5), weight=3)
def rebuild_from_the_log(stack: Stack, chance: random.Random) -> None:
    _ask_for_rebuilds(stack, chance.choice([None, *PROJECTIONS]))


@act(lasts_s=(3, 8), weight=2)
def rebuild_from_the_store(stack: Stack, chance: random.Random) -> End:
    """By the shell, which builds it itself if no consumer does."""
    program = [sys.executable, "manage.py", "rebuild", chance.choice(PROJECTIONS)]
    part = Part("shell", "shell", [*program, "--from", "store"])
    part.env, part.cwd = stack.env_of("consumer"), stack.tree
    part.start()
    return part.kill


@act(lasts_s=(0.5, 3), weight=2)
def kill_the_consumer_that_rebuilds(stack: Stack, chance: random.Random) -> End:
    _ask_for_rebuilds(stack)
    time.sleep(chance.uniform(0.5, 2.5))
    return _kill(stack, "consumer", chance)


@act(lasts_s=(12, 18))
def freeze_the_consumer_that_rebuilds(stack: Stack, chance: random.Random) -> End:
    """For so long that another takes its place."""
    _ask_for_rebuilds(stack)
    time.sleep(chance.uniform(0.5, 2.5))
    return _freeze(stack, "consumer", chance)


@act(lasts_s=(1, 2), weight=2)
def rebuild_in_quiet_then_stop_a_consumer(stack: Stack, chance: random.Random) -> None:
    """Nothing is written from before the rebuild until after the rebalance that follows it."""
    for part in stack.of("consumer"):
        part.start()
    with stack.aiming(), stack.quiet():
        if _ask_for_rebuilds(stack):
            wait_until(lambda: not stack.rebuilds_under_way(), "they are rebuilt", 60)
            stack.of("consumer")[-1].stop()


# --- SQLite ------------------------------------------------------------------------------------


@act("sqlite", lasts_s=(1, 8))
def hold_the_lock_of_the_write_database(stack: Stack, chance: random.Random) -> End:
    return _hold(stack, 0)


@act("sqlite", lasts_s=(1, 8))
def hold_the_lock_of_the_read_database(stack: Stack, chance: random.Random) -> End:
    return _hold(stack, 1)


HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
held.execute("BEGIN IMMEDIATE")
sys.stdin.read()
"""


def _hold(stack: Stack, which: int) -> End:
    path = stack.urls()[which].removeprefix("sqlite:///")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE)

    def end() -> None:
        holder.kill()
        holder.communicate()

    return end


@act("sqlite", lasts_s=(1, 5))
def fill_the_disk(stack: Stack, chance: random.Random) -> End | None:
    """Of the databases, where that is a small one."""
    assert isinstance(stack, SqliteStack)
    return stack.disk.fill() if stack.disk else None


# --- PostgreSQL --------------------------------------------------------------------------------


def _postgres(stack: Stack) -> PostgresStack:
    assert isinstance(stack, PostgresStack)
    return stack


TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'"


@act("postgresql", weight=2)
def terminate_some_backends(stack: Stack, chance: random.Random) -> None:
    _postgres(stack).execute(f"{TERMINATE} AND random() < 0.5")


@act("postgresql", weight=2)
def terminate_all_backends(stack: Stack, chance: random.Random) -> None:
    _postgres(stack).execute(TERMINATE)


@act("postgresql", weight=2)
def kill_postgresql(stack: Stack, chance: random.Random) -> End:
    server = _postgres(stack).postgres
    assert server.process is not None
    signal_all([*descendants(server.process.pid), server.process.pid], signal.SIGKILL)
    server.kill()
    return lambda: start_again(server.start)


@act("postgresql", weight=1)
def restart_postgresql(stack: Stack, chance: random.Random) -> End:
    server = _postgres(stack).postgres
    server.stop()
    return lambda: start_again(server.start)


@act("postgresql", lasts_s=(1, 12))
def freeze_postgresql(stack: Stack, chance: random.Random) -> End:
    server = _postgres(stack).postgres
    assert server.process is not None
    pids = [server.process.pid, *descendants(server.process.pid)]
    signal_all(pids, signal.SIGSTOP)
    return lambda: signal_all(pids, signal.SIGCONT)


@act("postgresql", lasts_s=(2, 6))
def make_postgresql_read_only(stack: Stack, chance: random.Random) -> End:
    """As in a failover: sessions are dropped, and new ones cannot write for some time."""
    found = _postgres(stack)
    for name in ("write", "read"):
        found.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    found.execute(TERMINATE)

    def end() -> None:
        for name in ("write", "read"):
            found.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

    return end


@act("postgresql", lasts_s=(2, 6))
def exhaust_the_connections(stack: Stack, chance: random.Random) -> End:
    found = _postgres(stack)
    found.execute("ALTER ROLE app CONNECTION LIMIT 3")
    found.execute(TERMINATE)
    return lambda: found.execute("ALTER ROLE app CONNECTION LIMIT -1") and None


@act("postgresql", lasts_s=(2, 6))
def fill_the_disk_of_postgresql(stack: Stack, chance: random.Random) -> End | None:
    found = _postgres(stack)
    if found.disk is None:
        return None
    heal = found.disk.fill()

    def end() -> None:
        heal()
        if not found.postgres.answers():  # it panics when it cannot write its log
            found.postgres.kill()
            start_again(found.postgres.start)

    return end


def start_again(start: Callable[[], None], attempts: int = 5) -> None:
    """A killed server's children may hold its place for a moment."""
    for attempt in range(attempts):
        try:
            start()
            return
        except ServiceError:
            if attempt == attempts - 1:
                raise
            time.sleep(1)


# --- Kafka -------------------------------------------------------------------------------------


@act("postgresql", lasts_s=(0.5, 3), weight=2)
def kill_kafka(stack: Stack, chance: random.Random) -> End:
    server = _postgres(stack).kafka
    server.kill()
    return lambda: start_again(server.start)


@act("postgresql", lasts_s=(1, 14), weight=2)
def freeze_kafka(stack: Stack, chance: random.Random) -> End:
    server = _postgres(stack).kafka
    assert server.process is not None
    pids = [server.process.pid]
    signal_all(pids, signal.SIGSTOP)
    return lambda: signal_all(pids, signal.SIGCONT)


@act("postgresql", lasts_s=(0.5, 1))
def add_a_partition(stack: Stack, chance: random.Random) -> None:
    from tests.faults.history.topic import add_partition

    add_partition(stack.kafka_servers, stack.topic)


@act("postgresql", lasts_s=(2, 6))
def switch_retention_on(stack: Stack, chance: random.Random) -> End:
    """For so long a time that nothing is deleted."""
    from tests.faults.history.topic import set_retention

    set_retention(stack.kafka_servers, stack.topic, 30 * 24 * 3600 * 1000)
    return lambda: set_retention(stack.kafka_servers, stack.topic, -1)


@act("postgresql", lasts_s=(0.5, 2))
def publish_in_a_transaction(stack: Stack, chance: random.Random) -> None:
    """Somebody's tool repeats a record: its transaction leaves a control record behind it."""
    from tests.faults.history.topic import repeat_in_a_transaction

    wait_until(lambda: sum(stack.ends().values()), "there are records", 60)
    stack.control_records += 1
    repeat_in_a_transaction(stack.kafka_servers, stack.topic)


# --- the network -------------------------------------------------------------------------------


@act("postgresql", lasts_s=(0.5, 6), weight=3)
def cut_connections(stack: Stack, chance: random.Random) -> End:
    proxy = chance.choice(list(_postgres(stack).proxies.values()))
    proxy.cut()
    return proxy.heal


@act("postgresql", lasts_s=(1, 14), weight=3)
def stall_connections(stack: Stack, chance: random.Random) -> End:
    proxy = chance.choice(list(_postgres(stack).proxies.values()))
    proxy.stall()
    return proxy.heal


@act("postgresql", lasts_s=(2, 6), weight=2)
def slow_connections(stack: Stack, chance: random.Random) -> End:
    proxy = chance.choice(list(_postgres(stack).proxies.values()))
    proxy.slow(chance.choice([0.01, 0.05, 0.2]))
    return proxy.heal


@act("postgresql", lasts_s=(1, 4))
def reset_connections(stack: Stack, chance: random.Random) -> None:
    for proxy in _postgres(stack).proxies.values():
        proxy.reset()
