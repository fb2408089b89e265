"""Who writes after a silence says so, and nobody else."""

import pytest

from messaging.dialect import changes
from messaging.dialect.changes import Silence


def test_only_who_comes_after_a_tenth_of_a_second_ends_a_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter((10.0, 10.09, 10.18, 10.3, 10.39))
    monkeypatch.setattr(changes.time, "monotonic", lambda: next(clock))
    silence = Silence()
    assert [silence.ends() for _ in range(5)] == [True, False, False, True, False]
