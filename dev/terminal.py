"""Ctrl-C for what make runs, and not for make."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_ctrl_c() -> Iterator[None]:
    """Make this process the terminal's foreground group.

    make would get Ctrl-C as well, and would end with an error however cleanly all else
    stopped. Ctrl-Z has to go: only this group would stop, and the shell would wait.
    """
    if not _is_in_foreground():
        yield
        return
    owner = os.getpgrp()
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    if owner != os.getpid():
        os.setpgid(0, 0)
    _give_terminal_to(os.getpid())
    try:
        yield
    finally:
        _give_terminal_to(owner)


def _is_in_foreground() -> bool:
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # it is the terminal of another session: `setsid make run`
        return False


def _give_terminal_to(group: int) -> None:
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # what a background group would get
    os.tcsetpgrp(0, group)
    signal.signal(signal.SIGTTOU, before)
