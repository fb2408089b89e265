"""A consistency token says all that is said to it, in a form that headers and addresses take."""

import re
from uuid import UUID, uuid4

import pytest
from django.core import signing
from hypothesis import given
from hypothesis import strategies as st

from messaging.exceptions import Invalid
from messaging.message import Position
from messaging.projections.serving import consistency_token

POSITIONS = st.builds(
    Position, st.text(min_size=1, max_size=20), st.uuids(), st.integers(0, 2**31 - 1)
)


@given(st.lists(POSITIONS, min_size=1, max_size=3))
def test_whatever_the_stream_types_are_called(positions: list[Position]) -> None:
    token = consistency_token.mint(positions)
    assert consistency_token.read(token) == tuple(positions)
    assert re.fullmatch(r"[\w.~%:-]+", token, re.ASCII)


def test_a_token_of_one_stream_is_short() -> None:
    assert len(consistency_token.mint([Position("post", uuid4(), 123)])) < 80


@pytest.mark.parametrize(
    "signed",
    [f"{UUID(int=1).hex}.1", "post", "post.AAAA.1", "post..1", "post.AAAAAAAAAAAAAAAAAAAAAQ.x", ""],
)
def test_what_is_signed_and_no_token_of_this_version_is_refused(signed: str) -> None:
    token = signing.Signer(salt="postlog.consistency").sign(signed)
    with pytest.raises(Invalid) as refused:
        consistency_token.read(token)
    assert refused.value.code == "invalid_token"
