"""Consistency tokens: a command's answer says which versions of which streams a reader must see.

Signed, so that nobody can make a request wait for a version that never comes.
"""

from collections.abc import Iterable
from urllib.parse import quote, unquote
from uuid import UUID

from django.core import signing
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from messaging.exceptions import Invalid
from messaging.message import Position


def mint(positions: Iterable[Position]) -> str:
    """Such as `order.AaIIknw-fUGfVjobLE1ebw.3:stock_item.AaIIkn...`, and the signature."""
    return _signer().sign(
        ":".join(
            f"{quote(one.stream_type, safe='')}.{urlsafe_base64_encode(one.stream_id.bytes)}"
            f".{one.version}"
            for one in positions
        )
    )


def read(token: str) -> tuple[Position, ...]:
    """Raises `Invalid` (400 `invalid_token`) for a token that was not made here."""
    try:
        return tuple(map(_position, _signer().unsign(token).split(":")))
    except (signing.BadSignature, ValueError):
        raise Invalid(
            "invalid_token", "This consistency token was not made here.", "consistency_token"
        ) from None


def _position(text: str) -> Position:
    stream_type, stream, version = text.rsplit(".", 2)
    stream_id = UUID(bytes=urlsafe_base64_decode(stream))
    return Position(unquote(stream_type), stream_id, int(version))


def _signer() -> signing.Signer:
    return signing.Signer(salt="postlog.consistency")
