"""What of a dead letter's reason is the error."""

import traceback

import pytest

from messaging.admin.dead_letter_groups import error_of
from messaging.projections.models import DeadLetter


def reason_of(error: Exception) -> str:
    try:
        try:
            raise KeyError("what the database's client raised")
        except KeyError as cause:
            raise error from cause
    except type(error):
        return traceback.format_exc()


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (reason_of(ValueError("too much")), "ValueError: too much"),
        (reason_of(ValueError('refused\nDETAIL:  Failing row contains (7, "a").\nLINE 1: x\n  ^')),
         "ValueError: refused"),
        ("It is dated 3 h ahead.", "It is dated 3 h ahead."),
        ("too much\nCONTEXT:  PL/pgSQL function f() line 1 at RAISE\n", "too much"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_error_is_what_was_raised_and_not_what_a_database_adds(reason: str, said: str) -> None:
    assert error_of(DeadLetter(reason=reason)) == said
