"""Natural keys: the ids of streams that are named by a text, such as a SKU or an e-mail address.

Whoever uses a key gets the same id, so two who create the same thing at once meet in one stream.
docs/decisions/0030-natural-keys-and-reservations.md
"""

from uuid import UUID, uuid5

from messaging.exceptions import Invalid

NAMESPACE = UUID(
    "3328d2a6-4957-4f32-b2f8-b34eeb9aae4d"
)  # never change it: all ids are made with it
MAX_KEY = 200  # characters
OF_KEYS = 8  # the UUID version of ids made here, which no stream without a key may have


def id_of_key(kind: str, key: str) -> UUID:
    """Return the id of what is named by the key among things of its kind.

    Raises `Invalid` for a key that is empty, too long, or holds what nobody sees: with it, two
    keys would look the same.
    """
    if not key.strip() or len(key) > MAX_KEY or not key.isprintable():
        raise Invalid(
            "invalid_key",
            f"What names a {in_words(kind)} has 1 to {MAX_KEY} characters, all of them visible or "
            "spaces.",
        )
    return as_version_8(uuid5(uuid5(NAMESPACE, kind), key))


def in_words(kind: str) -> str:
    """shop.stock_item -> stock item"""
    return kind.rpartition(".")[2].replace("_", " ")


def is_of_key(stream_id: UUID) -> bool:
    """Tell whether only a key leads to this id."""
    return stream_id.version == OF_KEYS


def as_version_8(found: UUID) -> UUID:
    """Return the same id with version 8, which RFC 9562 leaves to whoever makes it."""
    return version_8(found.int)


def version_8(bits: int) -> UUID:
    """Return the UUID of these 128 bits, of which version and variant take six."""
    return UUID(int=bits & ~(0xF << 76 | 0x3 << 62) | 8 << 76 | 0x2 << 62)
