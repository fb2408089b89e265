"""Consistency tokens: a command's answer says which version of which stream a reader must see.

Signed, so that nobody can make a request wait for a version that never comes.
"""

from typing import NamedTuple
from uuid import UUID

from django.core import signing

from messaging.exceptions import Invalid


class Position(NamedTuple):
    """A version of a stream."""

    stream_id: UUID
    version: int


def mint(stream_id: UUID, version: int) -> str:
    return _signer().sign(f"{stream_id.hex}.{version}")


def read(token: str) -> Position:
    """Raises `Invalid` (400 `invalid_token`) for a token that was not made here."""
    try:
        stream, version = _signer().unsign(token).split(".")
        return Position(UUID(hex=stream), int(version))
    except (signing.BadSignature, ValueError):
        raise Invalid(
            "invalid_token", "This consistency token was not made here.", "consistency_token"
        ) from None


def _signer() -> signing.Signer:
    return signing.Signer(salt="postlog.consistency")
