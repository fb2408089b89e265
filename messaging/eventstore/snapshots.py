"""Snapshots: the state of a long stream as JSON, so that not all of its events are read.

No snapshot is ever needed: if one is missing, unreadable or of another schema, the stream is
loaded from its events, and its next append writes a new snapshot.
"""

import gc
from hashlib import sha256
from typing import Generic, TypeVar

import msgspec

from messaging.exceptions import DecodeError

S = TypeVar("S")

EVERY = 100  # events between two snapshots of a stream


class SnapshotCodec(Generic[S]):
    """Encodes states of one type as text, and decodes them.

    `schema` says what a text means: the repository's number and a digest of the fields, so that
    a state whose fields have changed is never decoded from an old text.
    """

    def __init__(self, state_type: type[S], number: int) -> None:
        fields = msgspec.json.encode(msgspec.json.schema(state_type), order="deterministic")
        self.schema = f"{number}-{sha256(fields).hexdigest()[:16]}"
        self._decoder = msgspec.json.Decoder(state_type)
        self._encoder = msgspec.json.Encoder()

    def encode(self, state: S) -> str:
        return self._encoder.encode(state).decode()

    def decode(self, text: str) -> S:
        """Decode a state. Raises `DecodeError`."""
        # Nothing made here is garbage, but thousands of new objects would make the collector
        # look through all objects there are, which took twice as long as the decoding.
        collects = gc.isenabled()
        gc.disable()
        try:
            return self._decoder.decode(text)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise DecodeError(f"snapshot: {error}") from error
        finally:
            if collects:
                gc.enable()
