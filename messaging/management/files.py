"""Files of lines that commands read: plain, .gz, or standard input."""

import gzip
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from django.core.management.base import CommandError


def opened(name: str, stack: ExitStack) -> tuple[IO[bytes], Iterable[bytes], int | None]:
    """The file, its lines, and its size, which standard input does not have."""
    if name == "-":
        return sys.stdin.buffer, sys.stdin.buffer, None
    try:
        raw = stack.enter_context(Path(name).open("rb"))  # noqa: SIM115  the stack closes it
        size = Path(name).stat().st_size
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}.", returncode=2) from error
    if not name.endswith(".gz"):
        return raw, raw, size
    return raw, stack.enter_context(gzip.open(raw)), size
