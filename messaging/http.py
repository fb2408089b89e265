"""What an HTTP request says about a command beside the command: who sends it, and what led to it.

The API and the forms make their `Context` here, so that no entrance forgets a part of it.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from messaging.access import ANONYMOUS, Asker
from messaging.exceptions import Invalid
from messaging.message import Context, Result

CORRELATION_ID, CAUSATION_ID, TRACEPARENT = "Correlation-Id", "Causation-Id", "traceparent"
CANONICAL_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
# https://www.w3.org/TR/trace-context/: version, trace, parent, flags; later versions may add parts.
PARTS = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
KNOWN_FLAGS = 0b11  # sampled, and a random trace id; others have to be set to zero


def context_of(headers: Mapping[str, str], asker: Asker, **conditions: Any) -> Context:
    """Make the context of a command that a request sends. Raises `Invalid` for a header that holds
    no id; for a `traceparent` that is none a new trace begins, as its standard asks."""
    return Context(
        actor=str(asker.get_username()) or ANONYMOUS,
        asker=asker,
        correlation_id=_id(headers, CORRELATION_ID),
        causation_id=_id(headers, CAUSATION_ID),
        traceparent=traceparent(headers.get(TRACEPARENT, "")),
        **conditions,
    )


def answer_headers(context: Context, result: Result | None = None) -> dict[str, str]:
    """The headers of the answer: the ids that stand in the events, as far as there are any."""
    found = {
        CORRELATION_ID: context.correlation_id if result is None else result.correlation_id,
        CAUSATION_ID: context.causation_id,
        TRACEPARENT: context.traceparent,
    }
    return {name: str(value) for name, value in found.items() if value}


def traceparent(sent: str) -> str:
    """What was sent, in version 00, or a new one. The parent stays: without traces Postlog reports
    no spans, and with them it is the request's (monitoring/spans.py)."""
    found = PARTS.fullmatch(sent)
    if found is None or not _is_valid(*found.group(1, 2, 3, 5)):
        return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
    trace, parent, flags = found.group(2, 3, 4)
    return f"00-{trace}-{parent}-{int(flags, 16) & KNOWN_FLAGS:02x}"


def _is_valid(version: str, trace: str, parent: str, rest: str | None) -> bool:
    has_its_parts = version != "ff" and (version != "00" or rest is None)
    return has_its_parts and int(trace, 16) > 0 and int(parent, 16) > 0


def _id(headers: Mapping[str, str], name: str) -> UUID | None:
    sent = headers.get(name)
    if sent is None:
        return None
    if not CANONICAL_UUID.fullmatch(sent):
        raise Invalid("invalid", "This header takes a UUID.", name)
    return UUID(sent)
