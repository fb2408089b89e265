"""The processes of the Procfile, until Ctrl-C: `PORT=8000 python -m tests.support.run`."""

import os
import sys
from pathlib import Path

from honcho.manager import Manager
from honcho.printer import Printer

from tests.support.terminal import own_ctrl_c

SIGINT_CODE, SIGTERM_CODE = 130, 143  # of honcho

ROOT = Path(__file__).resolve().parents[2]


class Processes(Manager):  # type: ignore[misc]  # comes without types
    """honcho's, but when relay or consumer ends, or is killed, the others go on."""

    def _any_stopped(self) -> bool:
        web: dict[str, int] = self._processes["web"]
        return self._terminating or web.get("returncode") is not None


def run(env: dict[str, str]) -> int:
    """Run them together. 0 after Ctrl-C or SIGTERM; if the web server ends by itself, all
    are stopped and its exit code is returned."""
    manager = Processes(Printer(sys.stdout))
    for line in (ROOT / "Procfile").read_text().splitlines():
        name, _, command = line.partition(": ")
        manager.add_process(name, f"exec {command}", env=env, cwd=str(ROOT))
    with own_ctrl_c():
        manager.loop()
    asked = manager.returncode in (SIGINT_CODE, SIGTERM_CODE)
    return 0 if asked else manager.returncode or 0


if __name__ == "__main__":
    sys.exit(run({**os.environ}))
