"""One run: clients at work, acts by a schedule, everything healed, then the checker.

`python -m tests.faults.history.run sqlite|postgresql SECONDS SEED [ACT,ACT...]` prints the
schedule first, and exits 1 if a promise was broken. Named acts replace the seed's own.
"""

import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from threading import Barrier, Thread
from threading import Event as Flag

from dev.server import temporary_folder
from tests.faults.history import checker, deploy, directed, planted  # noqa: F401  # their acts
from tests.faults.history.acts import ACTS, Entry, schedule
from tests.faults.history.client import Client
from tests.faults.history.facts import Probe, Violation
from tests.faults.history.pages import PERSON, TABS, Tab
from tests.faults.history.readers import Reader
from tests.faults.history.recorder import Recorder
from tests.faults.history.stack import PostgresStack, SqliteStack, Stack
from tests.faults.history.writers import Board, Writer

WRITERS, READERS = 6, 4
LEVEL_WITHIN_S = 120
LEAST_AFTERWARDS_S = 3  # of commands after the last act
KINDS: dict[str, type[Stack]] = {"sqlite": SqliteStack, "postgresql": PostgresStack}
Say = Callable[[str], None]


class Run:
    """What a run leaves: its record, what the checker says of it, and a report."""

    def __init__(self, kind: str, seed: int, entries: Sequence[Entry], say: Say) -> None:
        self.folder = temporary_folder(f"history-{kind}")
        self.record = self.folder / "record.jsonl"
        self.entries = entries
        self.say = say
        self.violations: list[Violation] = []
        self.report = ""
        self._seed = seed
        self._recorder = Recorder(self.record)
        self._board = Board(seed)
        self.stack = KINDS[kind](self.folder, self._recorder, self._board)
        self._stop, self._give_up, self._healed = Flag(), Flag(), Flag()
        self._threads: list[Thread] = []
        self._readers: list[Reader] = []

    def __call__(self, seconds: float) -> list[Violation]:
        people = [f"person{number}" for number in range(WRITERS)]
        try:
            self.stack.start([*people, PERSON])
            supervisor = Thread(target=self._supervise)
            supervisor.start()
            try:
                self._begin(people)
                self._act(seconds)
                self._settle()
            finally:
                self._stop.set()
                self._give_up.set()
                self._healed.set()
                supervisor.join()
                self._join()
            self._check()
        finally:
            self._recorder.close()
            self.stack.stop()
        return self.violations

    def _begin(self, people: list[str]) -> None:
        ports = self.stack.ports()
        for number, name in enumerate(people):
            client = Client(f"writer {number}", ports, self.stack.tokens[name])
            seed = f"{self._seed} {name}"
            writer = Writer(name, client, self._board, self._recorder, seed)
            self.stack.pauses.append(writer.paused)
            self.stack.rests.append(writer.at_rest)
            self._thread(lambda writer=writer: writer.run(self._stop, self._give_up))  # type: ignore[misc]
        for number in range(READERS):
            client = Client(f"reader {number}", ports)
            seed = f"{self._seed} reader {number}"
            reader = Reader(client, self._board, self._recorder, seed)
            self._readers.append(reader)
            self._thread(lambda reader=reader: reader.run(self._stop))  # type: ignore[misc]

        paused = Flag()
        self.stack.pauses.append(paused)
        together = Barrier(TABS)
        for number in range(TABS):
            client = Client(f"tab {number}", ports)
            tab = Tab(client, self.stack.sessions[PERSON], together, self._recorder)
            self._thread(lambda tab=tab: tab.run(self._stop, paused))  # type: ignore[misc]

    def _act(self, seconds: float) -> None:
        begun = time.monotonic()
        for entry in self.entries:
            time.sleep(max(0.0, entry.at_s - (time.monotonic() - begun)))
            at = time.monotonic()
            self._note(f"{at - begun:6.1f} s ({at:.3f})  {entry.act}, for {entry.lasts_s:.1f} s")
            end = ACTS[entry.act].begin(self.stack, Random(entry.seed))
            time.sleep(entry.lasts_s)
            if end is not None:
                end()
            self._note(f"{time.monotonic() - begun:6.1f} s  ended: {entry.act}")
        time.sleep(max(LEAST_AFTERWARDS_S, seconds - (time.monotonic() - begun)))

    def _settle(self) -> None:
        """All is healed: writers get their last outcomes, and the system becomes level."""
        self._stop.set()
        deadline = time.monotonic() + LEVEL_WITHIN_S
        while time.monotonic() < deadline and not self._is_at_rest():
            time.sleep(0.2)
        self._give_up.set()
        self._join()
        took = LEVEL_WITHIN_S - (deadline - time.monotonic())
        self._recorder.write(Probe("coming to rest", took, LEVEL_WITHIN_S))
        self._note(f"at rest after {took:.1f} s" if took < LEVEL_WITHIN_S else "never at rest")
        if took < LEVEL_WITHIN_S:
            self._readers[0].last_reads()

    def _is_at_rest(self) -> bool:
        if any(thread.is_alive() for thread in self._threads):
            return False
        with suppress(Exception):  # whatever a client raises whose server has just come back
            return self.stack.is_level() and not self.stack.rebuilds_under_way()
        return False

    def _check(self) -> None:
        write, read = self.stack.urls()
        found = checker.gather(self.record, write, read, self.stack.topic, self.stack.kafka_servers)
        self.violations = checker.check(found)
        self.report = checker.report(found, self.violations)
        self.say(self.report)
        for moment in self.stack.missed:
            self.say(f"MISSED {moment}")

    def _supervise(self) -> None:
        while not self._healed.wait(0.3):
            self.stack.supervise()

    def _thread(self, work: Callable[[], None]) -> None:
        thread = Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _note(self, text: str) -> None:
        self._recorder.note(text)
        self.say(text)


def run(kind: str, seconds: float, seed: int, entries: Sequence[Entry] | None, say: Say) -> Run:
    """By the schedule of the seed, if no other is given."""
    planned = schedule(kind, seed, seconds) if entries is None else entries
    say(f"{kind}, seed {seed}, {seconds:g} s:")
    for entry in planned:
        say(f"    {entry}")
    done = Run(kind, seed, planned, say)
    say(f"the record is {done.record}")
    done(seconds)
    return done


def named(names: list[str]) -> list[Entry]:
    """These acts, one after the other."""
    entries, at = [], 3.0
    for number, name in enumerate(names):
        lasts_s = sum(ACTS[name].lasts_s) / 2
        entries.append(Entry(at, name, lasts_s, number))
        at += lasts_s + 2
    return entries


def main(arguments: list[str]) -> int:
    if len(arguments) not in (3, 4) or arguments[0] not in KINDS:
        print(__doc__, *sorted(ACTS), sep="\n")  # noqa: T201
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves no process behind
    kind, seconds, seed, *acts = arguments
    entries = named(acts[0].split(",")) if acts else None
    done = run(kind, float(seconds), int(seed), entries, lambda text: print(text, flush=True))  # noqa: T201
    if not done.violations:
        shutil.rmtree(done.folder)  # else the record in it says what happened
    return 1 if done.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
