"""Signatures of records: who may write to the topic is not yet believed.

The relay signs the key and the value of each record (HMAC with SHA-256) and puts the signature
into a header of it. Neither topic, partition nor offset are signed, so that records may be
published again, into another topic as well; a repeat is dropped by its version.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, NamedTuple

from messaging import conf
from messaging.bus.base import LogRecord
from messaging.exceptions import NoKeys

if TYPE_CHECKING:
    from hashlib import _Hash

    Prepared = tuple[_Hash, _Hash]

HEADER = "postlog-signature"  # `id:` and 32 bytes: digits would be twice as long to compress
MAX_ID_LENGTH = 32
BLOCK = 64  # bytes, of SHA-256

# Codes of dead letters.
FORGED = "forged"
UNKNOWN_KEY = "unknown key"


class Fault(NamedTuple):
    """Why the signature of a record is not right."""

    code: str
    reason: str
    key_id: str = ""  # of an unknown key


class KeyRing:
    """The first key signs, all verify."""

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        self._keys = {name.encode(): _prepared(secret.encode()) for name, secret in keys}
        self._signs = next(iter(self._keys))
        digests = sorted((name, _mac(one, b"", b"")) for name, one in self._keys.items())
        # Tells whether two rings verify the same, and nothing about their secrets.
        self.digest = sha256(repr(digests).encode()).hexdigest()

    def sign(self, key: str, value: bytes) -> bytes:
        return b"%b:%b" % (self._signs, _mac(self._keys[self._signs], key.encode(), value))

    def fault_of(self, record: LogRecord) -> Fault | None:
        """None: one of the keys has signed it."""
        if record.signature is None:
            return Fault(FORGED, "It has no signature: no relay with keys wrote it.")
        name, _, mac = record.signature.partition(b":")
        prepared = self._keys.get(name)
        if prepared is None:
            key_id = ascii(name[:MAX_ID_LENGTH].decode(errors="replace"))
            return Fault(
                UNKNOWN_KEY,
                f'It is signed with key {key_id}, which POSTLOG["RECORD_KEYS"] lacks here. If that '
                "is a key of yours, add it behind the others: this is tried again then. If not, "
                "somebody else wrote the record.",
                key_id,
            )
        right = _mac(prepared, record.key or b"", record.value or b"")
        if record.key is None or record.value is None or not compare_digest(mac, right):
            key_id = name.decode()
            return Fault(FORGED, f"Its signature is wrong: key {key_id!r} has not signed this.")
        return None


def key_ring() -> KeyRing | None:
    """As the settings have it; None: records are neither signed nor verified."""
    return _ring(conf.postlog().record_keys) if conf.signs_records() else None


def require_keys(genuine: Iterable[LogRecord]) -> None:
    """Raise `NoKeys` if records that this system has read or written before are signed, and this
    process has no keys: it would take forgeries for events, or publish what nobody believes."""
    settings = conf.postlog()
    if settings.record_keys or settings.sign_records is False:
        return
    for record in genuine:
        if record.signature is not None:
            raise NoKeys(
                f"The records of this log are signed (partition {record.partition}, offset "
                f'{record.offset}), and POSTLOG["RECORD_KEYS"] is empty here. Set it as it is for '
                'the other processes; or POSTLOG["SIGN_RECORDS"] = False in all of them, to sign '
                "and verify no more."
            )


@lru_cache(maxsize=8)
def _ring(keys: tuple[tuple[str, str], ...]) -> KeyRing:
    return KeyRing(keys)


def _prepared(secret: bytes) -> "Prepared":
    """HMAC (RFC 2104) with the key taken in already: hmac.digest does that for each record, which
    costs as much as signing, and hmac.HMAC.copy half of it."""
    key = (secret if len(secret) <= BLOCK else sha256(secret).digest()).ljust(BLOCK, b"\0")
    return sha256(bytes(b ^ 0x36 for b in key)), sha256(bytes(b ^ 0x5C for b in key))


def _mac(prepared: "Prepared", key: bytes, value: bytes) -> bytes:
    inner, outer = prepared[0].copy(), prepared[1].copy()
    # The length of the key, so that no bytes can move from one to the other.
    inner.update(b"%d:%b%b" % (len(key), key, value))
    outer.update(inner.digest())
    return outer.digest()
