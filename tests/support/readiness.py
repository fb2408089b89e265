"""Asking `/health/ready` for what is so now, not a few seconds ago."""

from typing import Any

from django.test import Client

from messaging.testing.waiting import wait_until
from tests.support.modes import stop_looking


def ready() -> Any:
    """The answer by a look that begins now."""
    stop_looking()
    return wait_until(_after_a_look, "a look ends")


def _after_a_look() -> Any:
    answer = Client().get("/health/ready")
    return None if "look" in answer.json()["failing"] else answer
