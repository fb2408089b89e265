"""A small disk that can be filled: a tmpfs, where root may mount one."""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class Disk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> Callable[[], None]:
        """Leave no room; returns what makes room again."""
        with suppress(OSError), self._filler.open("wb", buffering=0) as filler:
            while True:
                filler.write(b"\0" * 2**20)
        with suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            while True:
                filler.write(b"\0" * 512)
        return lambda: self._filler.unlink(missing_ok=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)


def small_disk(folder: Path, megabytes: int) -> Disk | None:
    """Mounted at the folder; None where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() != 0:
        return None
    options = f"size={megabytes}m,mode=0755"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)],
        check=False,
        capture_output=True,
    )
    return Disk(folder) if done.returncode == 0 else None
