"""Postlog's settings for the time of a test."""

from typing import Any

from django.conf import settings
from django.test import override_settings


def postlog(*, kafka: dict[str, Any] | None = None, **changes: Any) -> override_settings:
    """Change some of POSTLOG: `postlog(kafka={"topic": "t"}, MAX_LAG=2)`."""
    merged = {**settings.POSTLOG, **changes}
    merged["KAFKA"] = {**merged["KAFKA"], **(kafka or {})}
    return override_settings(POSTLOG=merged)
