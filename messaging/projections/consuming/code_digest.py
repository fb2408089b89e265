"""Which code a projection runs on: what was parked by other code is tried again."""

from hashlib import sha256

import msgspec

from messaging import codec
from messaging.projections.registry import Projection


def digest_of(projection: Projection) -> str:
    """A digest of all event types with their fields, of the projection's version, and of the
    columns that it writes. A change within its functions alone is not seen."""
    columns = [
        (model._meta.db_table, field.column, field.null, field.get_internal_type())
        for model in projection.models
        for field in model._meta.concrete_fields
    ]
    found = (codec.json_schemas(), codec.upcast_types(), projection.version, columns)
    return sha256(msgspec.json.encode(found, order="deterministic")).hexdigest()
