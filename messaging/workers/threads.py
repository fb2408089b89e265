"""What the long-running commands share: threads that stop together, cleanly or loudly."""

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from traceback import extract_stack
from typing import NoReturn

from django.db import connections

from messaging import conf
from messaging.dialect.sessions import limit_waits_for_locks
from messaging.exceptions import WorkerFailed
from messaging.transient import described

log = logging.getLogger("postlog.worker")

Work = Callable[[threading.Event], None]

TICK_S = 0.2
MAX_TICK_S = 1.0  # what counts of a longer one, in which this process was frozen itself
# For the parts to finish what they are doing.
GRACE_S = 4.0  # after a signal: supervisors kill after 10 s
GRACE_AFTER_END_S = 30.0  # after one of the parts has ended by itself
LONG_STEP_S = 3_600.0


class Stop(threading.Event):
    """Asks one part to stop. Whenever the part checks this flag, the part has moved.

    Every loop of a part looks every few seconds, whatever it waits for. A part that is stuck in
    a connection whose other end is gone does not look any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.takes_time = False
        self.is_awaited = False

    def is_set(self) -> bool:
        self._look()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        self.is_awaited = True  # for however long: nothing can be stuck here
        try:
            return super().wait(timeout)
        finally:
            self.is_awaited = False
            self._look()

    def _look(self) -> None:
        self.looks += 1
        self.takes_time = False


def take_time(stop: threading.Event) -> None:
    """Announce a statement that may run for minutes. It ends when the part next looks."""
    if isinstance(stop, Stop):
        stop.takes_time = True


class Part:
    """One thread, and what can be seen of it from outside."""

    def __init__(self, name: str, work: Work, ended: Callable[[], None]) -> None:
        self.name = name
        self.stop = Stop()
        self.error: BaseException | None = None
        self._work = work
        self._ended = ended
        self._seen = 0
        self._still_s = 0.0  # for how long it has not moved
        self.thread = threading.Thread(target=self._run, name=name)

    def _run(self) -> None:
        try:
            self._work(self.stop)
        except BaseException as error:
            log.exception("%s stopped.", self.name)
            self.error = error
        finally:
            self._ended()
            connections.close_all()

    def is_stuck(self, elapsed_s: float) -> bool:
        """Whether it has not moved for too long, now that so much more time has passed."""
        if self.stop.looks != self._seen or self.stop.is_awaited:
            self._seen, self._still_s = self.stop.looks, 0.0
        else:
            self._still_s += elapsed_s
        limit = LONG_STEP_S if self.stop.takes_time else conf.postlog().worker_stall_seconds
        return self.thread.is_alive() and self._still_s > limit

    def where(self) -> str:
        """Its name, and the last line of this package that it has come to."""
        frame = sys._current_frames().get(self.thread.ident or 0)
        stack = extract_stack(frame) if frame is not None else []
        ours = [f"{at.filename}:{at.lineno}" for at in stack if "/messaging/" in at.filename]
        return f"{self.name} ({ours[-1].rpartition('/messaging/')[2]})" if ours else self.name


def run_until_stopped(parts: Mapping[str, Work], *, code_if_cut_short: int = 0) -> None:
    """Run each part in a thread of its own until SIGTERM or SIGINT, or until one ends.

    Each gets a flag, finishes what it is doing when that is set, and returns. Raises `WorkerFailed`
    with the first error of any part, after the others have stopped. A part cannot be interrupted
    while it waits for a server that hangs: when the grace period is over, or when a part has not
    moved for POSTLOG["WORKER_STALL_SECONDS"], the process ends without it.
    """
    # Batches are thousands of objects that all stay until the batch is done: looking for garbage
    # among them, and among all that was imported, took a fifth of a rebuild's time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    running: list[Part] = []

    def stop_all() -> None:
        for part in running:
            part.stop.set()

    # A part's wait for a lock ends before the part counts as stuck: whoever holds the lock, such
    # as a rebuild that switches, may need long. The part looks at its flag and tries again.
    limit_waits_for_locks(conf.postlog().worker_stall_seconds / 2)
    running += [Part(name, work, stop_all) for name, work in parts.items()]
    signals: list[int] = []
    for signum in (signal.SIGTERM, signal.SIGINT):
        # No more: a second signal, which may come within the first's handler, must not wait.
        signal.signal(signum, lambda signum, _: signals.append(signum))
    for part in running:
        part.thread.start()
    _wait(running, signals, stop_all, code_if_cut_short)
    for part in running:
        if (error := part.error) is not None:
            raise WorkerFailed(f"{part.name}: {described(error)}") from error


def _wait(
    running: list[Part], signals: list[int], stop_all: Callable[[], None], code_if_cut_short: int
) -> None:
    """Return when all have ended; end the process if one does not."""
    deadline, last = None, time.monotonic()
    while alive := [part for part in running if part.thread.is_alive()]:
        alive[0].thread.join(TICK_S)  # with a timeout, so that signals reach the main thread
        now = time.monotonic()
        elapsed_s, last = min(now - last, MAX_TICK_S), now
        if signals or len(alive) < len(running):
            stop_all()
            grace_s = GRACE_S if signals else GRACE_AFTER_END_S
            deadline = min(deadline or now + grace_s, now + grace_s)
            if now > deadline:
                failed = any(part.error for part in running)
                _end_process(_late(alive), 1 if failed else code_if_cut_short)
        elif stuck := [part for part in running if part.is_stuck(elapsed_s)]:
            _end_process(_stalled(stuck), 1)


def _late(alive: list[Part]) -> str:
    names = ", ".join(part.where() for part in alive if part.thread.is_alive())
    return f"Stopped without waiting any longer for {names}. Nothing is lost."


def _stalled(stuck: list[Part]) -> str:
    names = ", ".join(part.where() for part in stuck)
    return (
        f"{names} has not moved for {conf.postlog().worker_stall_seconds} s: a connection whose "
        "other end is gone, or a server that hangs. The process ends, so that it is started again."
    )


def _end_process(why: str, code: int) -> NoReturn:
    """Without the threads, which cannot be stopped. Databases roll back what was under way."""
    log.critical("%s", why)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
