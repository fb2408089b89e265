"""Ids in files: any text may be one, such as the number that a thing had in another system."""

from functools import lru_cache
from uuid import UUID, uuid5

NAMESPACE = UUID("6f7b1c62-5a0e-5d0c-9d3c-0b6f4f1f7a11")  # never change it: files are read again
UUID_LENGTH = 36


@lru_cache(10_000)  # lines that follow each other are often about the same thing
def id_of(text: str) -> UUID:
    """Return the UUID that the text is, or else the one that it always stands for.

    Raises `UnicodeEncodeError`, a `ValueError`, for a lone surrogate.
    """
    return uuid_of(text) or uuid5(NAMESPACE, text)


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == UUID_LENGTH else None
    except ValueError:
        return None
