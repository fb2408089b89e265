"""Commands in the project of tests/support/orders_site, which knows nothing of this one: messaging
is installed there from its wheel, with what it requires and nothing else."""

import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

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


def build(folder: Path) -> Path:
    """The wheel, from a folder that is empty before."""
    uv = Path(sys.executable).with_name("uv")
    _run([uv, "build", "--quiet", "--wheel", "--offline", "--out-dir", folder, ROOT])
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path, *also: str, extras: Iterable[str] = ()) -> Path:
    """Make an environment with the wheel in it, and return its Python. What it requires is taken
    from this one, so that no test needs a network. `also`: other packages, taken likewise."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    _run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel])
    (packages,) = folder.glob("lib/*/site-packages")
    (info,) = packages.glob("postlog-*.dist-info")
    for needed in _required([*(Distribution.at(info).requires or []), *also], ("", *extras)):
        for name in {file.parts[0] for file in needed.files or []} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(Path(str(needed.locate_file(name))))
        for script in needed.entry_points.select(group="console_scripts"):
            path = folder / "bin" / script.name
            path.write_text(f"#!{python}\nimport {script.module} as m\nm.{script.attr}()\n")
            path.chmod(0o755)
    _run([*pip, "check"])
    return python


def _required(requirements: Iterable[str], extras: Iterable[str] = ("",)) -> Iterator[Distribution]:
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            found = distribution(requirement.name)
            yield found
            yield from _required(found.requires or [])


def _run(command: list[object]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


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
