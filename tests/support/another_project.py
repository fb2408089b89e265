"""Commands in the project of tests/support/orders_site, which knows nothing of this one: messaging
is installed there from its wheel, with what it requires and nothing else."""

import json
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement

from tests.support.processes import ROOT

SITE = ROOT / "tests" / "support" / "orders_site"
ENV = {"PYTHONPATH": str(SITE), "DJANGO_SETTINGS_MODULE": "site_settings"}
# Names that cannot be imported come first, separated by commas.
PROGRAM = """
import sys
for name in filter(None, sys.argv.pop(1).split(",")):
    sys.modules[name] = None
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

# Each command is one argument, as JSON. Behind what it prints follows a line of its own.
ALL = """
import json, sys
from django.core.management import execute_from_command_line
for command in sys.argv[1:]:
    execute_from_command_line(["manage.py", *json.loads(command)])
    print("-- done --", flush=True)
"""


def build(folder: Path) -> Path:
    """The wheel, from a folder that is empty before."""
    uv = Path(sys.executable).with_name("uv")
    _run([uv, "build", "--quiet", "--wheel", "--offline", "--out-dir", folder, ROOT])
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path, *also: str, extras: Iterable[str] = ()) -> Path:
    """Make an environment with the wheel in it, and return its Python. The wheel is unpacked once
    and linked, which is what pip makes of it in a fiftieth of the time. What it requires is taken
    from this environment, so that no test needs a network. `also`: other packages, so too."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/*/site-packages")
    unpacked = _unpacked(wheel)
    for part in unpacked.iterdir():
        _link(packages / part.name, part)
    (info,) = unpacked.glob("*.dist-info")
    requirements = [*(Distribution.at(info).requires or []), *also]
    for needed in _required(requirements, ("", *extras), {}).values():
        for name in {file.parts[0] for file in needed.files or []} - {"..", "__pycache__"}:
            _link(packages / name, Path(str(needed.locate_file(name))))
        for script in needed.entry_points.select(group="console_scripts"):
            path = folder / "bin" / script.name
            path.write_text(f"#!{python}\nimport {script.module} as m\nm.{script.attr}()\n")
            path.chmod(0o755)
    return python


def install_by_pip(wheel: Path, python: Path) -> None:
    """In the place of what is linked there, and look whether anything is missing."""
    pip = [sys.executable, "-m", "pip", "--python", python]
    (packages,) = python.parents[1].glob("lib/*/site-packages")
    for part in _unpacked(wheel).iterdir():
        (packages / part.name).unlink()
    _run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel])
    _run([*pip, "check"])


def _unpacked(wheel: Path) -> Path:
    folder = wheel.with_suffix("")
    if not folder.exists():
        with ZipFile(wheel) as packed:
            packed.extractall(folder)
    return folder


def _link(path: Path, target: Path) -> None:
    if not path.exists():
        path.symlink_to(target)


def _required(
    requirements: Iterable[str], extras: Iterable[str], known: dict[str, Distribution]
) -> dict[str, Distribution]:
    """By name, what is `known` already included."""
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
        if wanted and requirement.name not in known:
            known[requirement.name] = found = distribution(requirement.name)
            _required(found.requires or [], ("",), known)
    return known


def _run(command: list[object]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def one_after_the_other(*commands: list[str]) -> list[str]:
    """Arguments for a Python that runs them all: to start another one takes half a second."""
    return ["-c", ALL, *map(json.dumps, commands)]


def printed_by_each(output: str) -> list[str]:
    *printed, nothing = output.split("-- done --\n")
    assert not nothing
    return printed


def run_all(python: Path, folder: Path, *commands: list[str], **env: str) -> list[str]:
    """What each of the commands prints."""
    done = subprocess.run(
        [str(python), *one_after_the_other(*commands)],
        cwd=folder,
        env={**ENV, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return printed_by_each(done.stdout)


def program(python: Path, without: tuple[str, ...] = ()) -> list[str]:
    return [str(python), "-c", PROGRAM, ",".join(without)]


def run(
    python: Path,
    folder: Path,
    *arguments: str,
    without: tuple[str, ...] = (),
    settings: str = "site_settings",
    **env: str,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program(python, without), *arguments],
        cwd=folder,
        env={**ENV, "DJANGO_SETTINGS_MODULE": settings, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
