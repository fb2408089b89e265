"""The corpus of bad input, as lines of a file of commands."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.support.corpus import cases, written_out
from tests.support.corpus_world import Findings, make_world
from tests.support.modes import Mode

pytestmark = pytest.mark.usefixtures("quiet")


def test_bad_lines_are_refused_as_the_corpus_has_it(database: Mode, tmp_path: Path) -> None:
    make_world()
    found, all_cases = Findings(), cases("line")
    file, rejects = tmp_path / "commands.jsonl", tmp_path / "rejects.jsonl"
    file.write_bytes(b"\n".join(case.raw() for case in all_cases))
    call_command("sendcommands", str(file), rejects=str(rejects), stdout=StringIO())
    refused = [json.loads(line) for line in rejects.read_text(encoding="utf-8").splitlines()]
    codes = {one["line"]: one["code"] for one in refused}
    for number, case in enumerate(all_cases, 1):
        found.compare(case, written_out(case.expected), codes.get(number, "sent"))
    found.require_none(of=len(all_cases))
