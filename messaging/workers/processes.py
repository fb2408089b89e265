"""Processes of our own beside this one, for work that Python's threads would do one at a time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import django
from django.utils.module_loading import import_string

GRACE_S = 5.0


@contextmanager
def processes(count: int, work: str) -> Iterator[list[Connection]]:
    """Start `count` processes that call the function at the path `work`, each with its end of a
    connection; the other ends are returned.

    Each is to return when its connection ends, which it does with the block, and also when this
    process is killed: they are spawned, so none holds another's connection.
    """
    context = get_context("spawn")
    with ExitStack() as stack:
        ours = []
        for _ in range(count):
            end, theirs = context.Pipe()
            process = context.Process(target=_begin, args=(work, theirs), daemon=True)
            process.start()
            stack.callback(_end, process)
            stack.callback(end.close)
            theirs.close()
            ours.append(end)
        yield ours


def _end(process: SpawnProcess) -> None:
    """Let it finish its current work, unless that waits for a server that is away."""
    process.join(GRACE_S)
    process.terminate()
    process.join()


def _begin(work: str, connection: Connection) -> None:
    """Before anything of the project is imported: that needs Django."""
    django.setup()
    import_string(work)(connection)
