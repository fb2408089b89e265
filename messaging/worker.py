"""What the long-running commands share: threads that stop together, cleanly or loudly."""

import gc
import logging
import signal
import threading
from collections.abc import Callable, Mapping

from django.db import connections

log = logging.getLogger("postlog.worker")

Work = Callable[[threading.Event], None]


class Failed(Exception):
    """A part stopped with an error; its message says what to do."""


def run_until_stopped(parts: Mapping[str, Work]) -> None:
    """Run each part in a thread of its own until SIGTERM or SIGINT, or until one fails.

    Each is handed a flag, finishes what it is at when that is set, and returns. Raises
    `Failed` with the first error of any part, after the others have stopped.
    """
    stop = threading.Event()
    errors: list[tuple[str, BaseException]] = []

    def run(name: str, work: Work) -> None:
        try:
            work(stop)
        except BaseException as error:
            log.exception("%s stopped.", name)
            errors.append((name, error))
        finally:
            stop.set()
            connections.close_all()

    # Batches are thousands of objects that all stay until the batch is done: looking for garbage
    # among them, and among all that was imported, took a fifth of a rebuild's time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    threads = [
        threading.Thread(target=run, args=(name, work), name=name) for name, work in parts.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        # With a timeout, so that signals reach the main thread.
        while thread.is_alive():
            thread.join(0.2)
    if errors:
        name, error = errors[0]
        raise Failed(f"{name}: {type(error).__name__}: {error}") from error
