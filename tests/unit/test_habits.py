"""What contributors rely on: the same checks everywhere, a version with its changes, types."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_git_runs_the_checks_of_make_check_and_fetches_none() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.split(r"\n\n", makefile.partition("\ncheck: ")[2])[0].replace("$(BIN)", ".venv/bin")
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [one["repo"] for one in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert all(hook["language"] == "system" for hook in hooks)
    at_commit = [hook["entry"] for hook in hooks if "stages" not in hook]
    lines = [line.strip() for line in recipe.splitlines()[1:]]
    assert at_commit == lines[: len(at_commit)], "in the same order"
    assert [h["entry"] for h in hooks if h.get("stages") == ["pre-push"]] == ["make check"]


def test_the_changelog_begins_with_this_version() -> None:
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert first is not None
    assert first[1] == PROJECT["project"]["version"]
