"""Postlog's settings for the time of a test."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from config import env


def postlog(*, kafka: dict[str, Any] | None = None, **changes: Any) -> override_settings:
    """Change some of POSTLOG: `postlog(kafka={"topic": "t"}, MAX_LAG=2)`."""
    merged = {**settings.POSTLOG, **changes}
    merged["KAFKA"] = {**merged["KAFKA"], **(kafka or {})}
    return override_settings(POSTLOG=merged)


def problems(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], given: dict[str, str]
) -> list[str]:
    """What is wrong with these variables, as a process says it that does not start."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(env, "problems", [])
    read()
    return [f"{one.setting}: {one.message} {one.hint}" for one in env.problems]
