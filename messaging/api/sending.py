"""Send the lines of a command file: one after the other, or by several processes at once.

Several keep the order of all lines that name the same thing: such a line waits until those before
it are done, or goes to the process that has them. So what a file says of one stream happens in
the file's order, whatever else happens between.
"""

import logging
import signal
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import NamedTuple, NoReturn

from messaging import conf, mediator
from messaging.api import command_file
from messaging.api.command_file import Line, Request
from messaging.exceptions import (
    ConcurrentChange,
    DomainError,
    NeedsNewerCode,
    NotTogether,
    WorkerFailed,
)
from messaging.message import Context
from messaging.transient import drop_connections, is_away, reason
from messaging.workers.processes import processes

log = logging.getLogger("postlog.sending")

AWAY_FOR_S = 60.0  # a database, at most; a failover takes seconds
AGAIN_AFTER_S = 1.0
MAX_TOGETHER = 32  # lines in a transaction, which holds the locks of their streams
MAX_WAITING = 64  # lines that a process has; a pipe takes so many refusals without anybody reading
ACTOR = "actor"


class Refusal(NamedTuple):
    code: str
    detail: str


class Outcome(NamedTuple):
    line: Line
    refusal: Refusal | None


def refusal_of(error: DomainError) -> Refusal:
    return Refusal(error.code, error.detail)


class Sender:
    """Sends lines in this process, and knows the actors that it has met."""

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._actors = conf.actors()()
        self._machines = frozenset(conf.postlog().machine_actors)
        self._warn = warn

    def send_all(self, lines: Sequence[Line]) -> Iterator[Refusal | None]:
        """Send them in one transaction, if that can be; else one by one, of which each says by
        itself what is wrong with it."""
        found: Iterable[Refusal | None]
        try:
            found = self._together(lines) if len(lines) > 1 else map(self.send, lines)
        except Exception as error:
            log.debug("%s lines are sent one by one: %r", len(lines), error)
            found = map(self.send, lines)
        yield from found

    def send(self, line: Line) -> Refusal | None:
        """Send it again while the database is away: a line that was carried out is not repeated."""
        patience = time.monotonic() + AWAY_FOR_S
        while True:
            try:
                mediator.send(*self._sent(line, command_file.parse(line)))
                return None
            except Exception as error:
                again = is_away(error) or isinstance(error, ConcurrentChange)
                if not again or time.monotonic() > patience:
                    if isinstance(error, DomainError):
                        return refusal_of(error)
                    raise
                self._warn(f"Line {line.number}: {reason(error)}. Trying again.")
                drop_connections()
                time.sleep(AGAIN_AFTER_S)

    def _together(self, lines: Sequence[Line]) -> list[Refusal | None]:
        outcomes: list[DomainError | None] = []
        ready = []
        for line in lines:
            try:
                request = command_file.parse(line)
            except DomainError as refusal:
                outcomes.append(refusal)
                continue
            try:
                ready.append(self._sent(line, request))
            except DomainError as refusal:
                if ready:  # one of which may make the actor known
                    raise NotTogether from refusal
                outcomes.append(refusal)
            else:
                outcomes.append(None)
        found = iter(mediator.send_together(ready))
        all_outcomes = [one or next(found) for one in outcomes]
        return [refusal_of(one) if isinstance(one, DomainError) else None for one in all_outcomes]

    def _sent(self, line: Line, request: Request) -> tuple[object, Context]:
        actor = request.actor
        if actor not in self._machines:
            actor = self._actors.username(actor)
        asker = self._actors.asker(actor)
        context = Context(actor=actor, asker=asker, command_id=line.command_id, at=request.at)
        return request.command, context


def here(
    lines: Iterable[Line], warn: Callable[[str], object], *, together: int = 1
) -> Generator[Outcome, None, None]:
    """Send them in this process, up to so many in one transaction."""
    sender = Sender(warn)
    for some in _portions(lines, together):
        yield from map(Outcome, some, sender.send_all(some))


def _portions(lines: Iterable[Line], count: int) -> Iterator[list[Line]]:
    """Up to so many at a time. Those that can be read come before the error of one that cannot."""
    some: list[Line] = []
    try:
        for line in lines:
            some.append(line)
            if len(some) == count:
                yield some
                some = []
    except Exception:
        if some:
            yield some
        raise
    if some:
        yield some


def by_processes(
    lines: Iterable[Line], count: int, keys: Collection[str] = ()
) -> Generator[Outcome, None, None]:
    """Yield the outcomes in the order of the lines. Lines also keep their order if they have the
    same value of one of the `keys`. Raises `WorkerFailed` with the line and the reason."""
    with processes(count, f"{__name__}.serve") as connections:
        pool = _Pool(connections)
        for line in lines:
            pool.give(line, command_file.names(line, {ACTOR, *keys}))
            yield from pool.in_order()
        while pool.is_busy():
            pool.receive()
            yield from pool.in_order()


class _Process:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.lines: deque[tuple[Line, set[str]]] = deque()  # not done yet, in order


class _Pool:
    def __init__(self, connections: Iterable[Connection]) -> None:
        self._processes = [_Process(one) for one in connections]
        self._busy: dict[str, _Process] = {}  # with lines that name this
        self._count = Counter[str]()  # how many they are
        self._actors: set[str] = set()  # who are known: their lines need not be in order
        self._outcomes: dict[int, Outcome | None] = {}  # in the order of the lines

    def give(self, line: Line, names: set[str]) -> None:
        """Give the line to a process, and wait for one that may have it."""
        names -= self._actors
        while (process := self._process_for(names)) is None:
            self.receive()
        self._outcomes[line.number] = None
        process.lines.append((line, names))
        for name in names:
            self._busy[name] = process
            self._count[name] += 1
        try:
            process.connection.send(line)
        except OSError:
            self.receive(0)  # maybe it has said why
            self._failed(process)
        self.receive(0)

    def _process_for(self, names: set[str]) -> _Process | None:
        owners = {self._busy[name] for name in names & self._busy.keys()}
        if len(owners) > 1:
            return None
        free = min(owners or self._processes, key=lambda one: len(one.lines))
        return free if len(free.lines) < MAX_WAITING else None

    def is_busy(self) -> bool:
        return any(one.lines for one in self._processes)

    def receive(self, timeout_s: float | None = None) -> None:
        """Wait for outcomes, by default until there is one."""
        busy = [one for one in self._processes if one.lines]
        ready = wait([one.connection for one in busy], timeout_s)
        for process in (one for one in busy if one.connection in ready):
            try:
                while process.connection.poll():
                    self._done(process, process.connection.recv())
            except (EOFError, OSError):
                self._failed(process)

    def _done(self, process: _Process, found: Refusal | str | None) -> None:
        line, names = process.lines.popleft()
        if isinstance(found, str):
            raise WorkerFailed(f"line {line.number}: {found}")
        self._outcomes[line.number] = Outcome(line, found)
        for name in names:
            self._count[name] -= 1
            if not self._count[name]:
                del self._count[name], self._busy[name]
            if found is None and name.startswith(f"{ACTOR}="):
                self._actors.add(name)  # a line that was refused may have come too soon for that

    def _failed(self, process: _Process) -> NoReturn:
        number = process.lines[0][0].number
        raise WorkerFailed(
            f"line {number}: the process that had it ended, maybe for want of memory"
        )

    def in_order(self) -> Iterator[Outcome]:
        """Yield the outcomes whose earlier lines are all done."""
        while self._outcomes and (outcome := next(iter(self._outcomes.values()))) is not None:
            del self._outcomes[outcome.line.number]
            yield outcome


def serve(connection: Connection) -> None:
    """Send the lines that come, until the connection ends or a line fails. Those behind it may
    need it: they would be refused for the lack of it, and that would be remembered.

    Ctrl-C is the other end's business: what is at hand is carried out.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sender = Sender(lambda text: print(text, file=sys.stderr))  # noqa: T201
    outcome: Refusal | str | None = None
    with suppress(EOFError, OSError):  # nobody waits for an outcome
        while not isinstance(outcome, str):
            for outcome in _outcomes(sender, list(_lines_at(connection))):
                connection.send(outcome)


def _lines_at(connection: Connection) -> Iterator[Line]:
    """Wait for a line, and take those that have come behind it."""
    yield connection.recv()
    with suppress(EOFError):  # met again by whoever asks for the next
        for _ in range(MAX_TOGETHER - 1):
            if not connection.poll():
                return
            yield connection.recv()


def _outcomes(sender: Sender, lines: list[Line]) -> Iterator[Refusal | str | None]:
    try:
        yield from sender.send_all(lines)
    except Exception as error:
        if not (is_away(error) or isinstance(error, NeedsNewerCode)):
            traceback.print_exc()
        yield reason(error)
