"""Consumers believe every name that an account may have, or may have had."""

import pytest
from django.core.exceptions import ValidationError

from accounts import names
from messaging.plausible import is_username


def may_be_new(name: str) -> bool:
    try:
        names.check(name)
    except ValidationError:
        return False
    return True


def test_each_letter_of_a_new_name_is_believed() -> None:
    found = [chr(point) for point in range(0x3100) if may_be_new(chr(point))]
    assert len(found) > 2_000
    assert [one for one in found if not is_username(one)] == []


@pytest.mark.parametrize("name", [".", "..", "alice", "José", "a@b.example", "x" * 150, "a_b-c+d"])
def test_names_that_accounts_have_had_are_believed(name: str) -> None:
    assert is_username(name)


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "a\n", "\n", "x" * 151, "a\0", "\u202ea"])
def test_others_are_not(name: str) -> None:
    assert not is_username(name)
