"""A vulnerability fails `make check`; a service that is away is said, and does not."""

import json
from typing import Any

import pytest

from dev import audit
from dev.audit import Verdict, verdict

SOUND = {"name": "django", "version": "5.2.1", "vulns": []}
SKIPPED = {"name": "rich", "skip_reason": "Dependency not found on PyPI"}
BAD = {
    "name": "django",
    "version": "5.2",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["5.2.1"], "aliases": [], "description": ""}],
}


def judged(*packages: dict[str, Any]) -> Verdict:
    return verdict("r.txt", json.dumps({"dependencies": packages, "fixes": []}), "")


def test_what_has_no_known_vulnerability_passes_with_its_count() -> None:
    assert judged(SOUND, SOUND) == (0, "r.txt: no known vulnerability in 2.")


def test_a_vulnerability_fails_and_is_named_with_the_version_that_mends_it() -> None:
    found = judged(SOUND, BAD, SKIPPED)
    assert found == (1, "r.txt: django 5.2 has PYSEC-2026-1; fixed in 5.2.1")


def test_what_the_service_does_not_know_is_named() -> None:
    found = judged(SOUND, SKIPPED)
    assert found.code == 0
    assert "in 1, but for rich, which the service does not know." in found.text


def test_a_service_that_knows_nothing_has_audited_nothing() -> None:
    """As a mirror that serves packages only: pip-audit's exit code is 0."""
    assert "NOT audited" in judged(SKIPPED, SKIPPED).text


@pytest.mark.parametrize("errors", ["", "Traceback ...\nConnectionError: nobody there\n"])
def test_a_service_that_is_away_is_said(errors: str) -> None:
    found = verdict("r.txt", "", errors)
    assert found.code == 0
    assert found.text.startswith("r.txt NOT audited: ")


def test_one_bad_file_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = {"requirements.txt": Verdict(1, "bad"), "requirements-dev.txt": Verdict(0, "good")}
    monkeypatch.setattr(audit, "audit", verdicts.__getitem__)
    assert audit.main() == 1
