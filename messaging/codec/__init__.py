"""Events as JSON: the payload for the store, and the CloudEvents document for the log."""

from messaging.codec.document import decode_envelope, encode_document, encode_record
from messaging.codec.payload import Payload, RecordedEvent, decode_event, encode_event, own_copy
from messaging.codec.schemas import json_schemas
from messaging.codec.upcasting import newest_of, upcast_types, upcaster

__all__ = [
    "Payload",
    "RecordedEvent",
    "decode_envelope",
    "decode_event",
    "encode_document",
    "encode_event",
    "encode_record",
    "json_schemas",
    "newest_of",
    "own_copy",
    "upcast_types",
    "upcaster",
]
