"""Commands in the project of tests/support/orders_site, which knows nothing of this one."""

import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

SITE = ROOT / "tests" / "support" / "orders_site"
ENV = {"PYTHONPATH": f"{ROOT}:{SITE}", "DJANGO_SETTINGS_MODULE": "site_settings"}
# Names that cannot be imported come first, separated by commas.
PROGRAM = """
import sys
for name in filter(None, sys.argv.pop(1).split(",")):
    sys.modules[name] = None
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def program(without: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, "-c", PROGRAM, ",".join(without)]


def run(
    folder: Path, *arguments: str, without: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program(without), *arguments],
        cwd=folder,
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
