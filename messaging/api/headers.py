"""Under which conditions a command is carried out: headers, as their standards have them."""

import re
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid5

import msgspec
from django.http import HttpRequest
from rest_framework.exceptions import ErrorDetail, ValidationError

from messaging import conf

IDEMPOTENCY_KEY = "Idempotency-Key"
IF_MATCH = "If-Match"
KEYS = UUID("6f3f0c1e-5d0b-5e8e-9a3f-2c1d7b0a4e11")  # the namespace of command ids made of keys
MAX_KEY_LENGTH = 255
PRINTABLE = re.compile(r"[\x20-\x7e]+")
ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
ETAGS = re.compile(rf"{ETAG.pattern}([ \t]*,[ \t]*{ETAG.pattern})*")
VERSION = re.compile(r"v([0-9]{1,9})")


def etag(version: int) -> str:
    """Of a thing at this version."""
    return f'"v{version}"'


def idempotency(request: HttpRequest, command: object) -> dict[str, Any]:
    """What `Idempotency-Key` asks of the command's context: the first answer again to whoever
    sends the same again, for some hours (draft-ietf-httpapi-idempotency-key-header)."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return {}
    if not PRINTABLE.fullmatch(key) or len(key) > MAX_KEY_LENGTH:
        raise wrong_header(IDEMPOTENCY_KEY, f"1 to {MAX_KEY_LENGTH} printable ASCII characters.")
    sent = type(command).__name__.encode() + b" " + msgspec.json.encode(command)
    return {
        "command_id": uuid5(KEYS, key),
        "fingerprint": blake2b(sent, digest_size=16).hexdigest(),
        "remember_for": conf.idempotency_window(),
    }


def if_match(request: HttpRequest) -> frozenset[int] | None:
    """The versions that `If-Match` names; None: any. By strong comparison, so that a weak
    ETag, or one that was not made here, matches no version (RFC 9110, 13.1.1)."""
    sent = request.headers.get(IF_MATCH)
    if sent is None or sent.strip() == "*":
        return None
    if not ETAGS.fullmatch(sent.strip()):
        raise wrong_header(IF_MATCH, "ETags in double quotes, divided by commas, or *.")
    strong = (tag for weak, tag in ETAG.findall(sent) if not weak)
    return frozenset(int(found[1]) for tag in strong if (found := VERSION.fullmatch(tag)))


def wrong_header(name: str, what_it_takes: str) -> ValidationError:
    return ValidationError({name: [ErrorDetail(f"This header takes {what_it_takes}", "invalid")]})
