"""Snapshots: the state of a long stream as JSON, so that not all of its events are read.

They are never needed: one that is missing, of another schema or unreadable costs a full
load, and the next append of that stream writes it anew.
"""

import gc
from hashlib import sha256
from typing import Generic, TypeVar

import msgspec

from messaging.exceptions import DecodeError

S = TypeVar("S")

EVERY = 100  # events after which a stream gets its next one


class SnapshotCodec(Generic[S]):
    """The states of one type as text and back.

    `schema` says what a text means: a number of the owner's, and a digest of the fields,
    so that a state with other fields never meets an old text.
    """

    def __init__(self, state_type: type[S], number: int) -> None:
        fields = msgspec.json.encode(msgspec.json.schema(state_type), order="deterministic")
        self.schema = f"{number}-{sha256(fields).hexdigest()[:16]}"
        self._decoder = msgspec.json.Decoder(state_type)
        self._encoder = msgspec.json.Encoder()

    def encode(self, state: S) -> str:
        return self._encoder.encode(state).decode()

    def decode(self, text: str) -> S:
        """Raises `DecodeError`."""
        # Nothing of what is made here is garbage, but thousands of new objects would have the
        # collector look through all there are, which took twice as long as the decoding.
        collects = gc.isenabled()
        gc.disable()
        try:
            return self._decoder.decode(text)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise DecodeError(f"snapshot: {error}") from error
        finally:
            if collects:
                gc.enable()
