"""The examples of docs/reference.md do what they say, in a project of their own."""

import re
import subprocess
import sys
from pathlib import Path

from tests.support.another_project import ENV, ROOT

REFERENCE = ROOT / "docs" / "reference.md"
BLOCKS = re.findall(r"^```py(?:thon|con)\n(.*?)^```", REFERENCE.read_text(), re.M | re.S)
FILE = re.compile(r"# (orders/\w+\.py)\n")
SETUP = """
import doctest, sys
from django.core.management import call_command
import django
django.setup()
call_command("makemigrations", "orders", verbosity=0)
call_command("migrate", verbosity=0)
examples = doctest.DocTestParser().get_doctest(sys.stdin.read(), {}, "reference", "reference", 0)
runner = doctest.DocTestRunner()
runner.run(examples)
sys.exit(runner.failures)
"""


def test_the_examples_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "__init__.py").touch()
    shell = []
    for block in BLOCKS:
        if named := FILE.match(block):
            with (tmp_path / named[1]).open("a") as file:
                file.write(block)
        else:
            assert block.startswith(">>> "), block
            shell.append(block)
    done = subprocess.run(
        [sys.executable, "-c", SETUP],
        cwd=tmp_path,
        env={**ENV, "PYTHONPATH": f"{tmp_path}:{ENV['PYTHONPATH']}:{ROOT}"},
        input="\n".join(shell),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
