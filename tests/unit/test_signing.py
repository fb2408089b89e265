"""Signatures of records, and the ring of keys that makes and verifies them."""

import hmac
from typing import Any

import pytest

from config import kafka
from messaging.bus.base import LogRecord, Message
from messaging.bus.signing import FORGED, UNKNOWN_KEY, KeyRing, key_ring
from messaging.deployment_checks import records_are_signed
from tests.support.settings import postlog, problems

ONE, TWO = ("one", "1" * 20 + "abcdefghijklmnop"), ("two", "2" * 20 + "abcdefghijklmnop")
OTHER = ("one", "x" * 20 + "abcdefghijklmnop")  # the same id, another secret


def signed(ring: KeyRing, key: str = "k", value: bytes = b"v") -> LogRecord:
    return LogRecord(0, 0, key.encode(), value, 0, ring.sign(key, value))


def fault(ring: KeyRing, record: LogRecord) -> str:
    found = ring.fault_of(record)
    return "" if found is None else found.code


def test_what_one_of_the_keys_has_signed_is_right_whichever_signs_now() -> None:
    before, after = KeyRing([ONE]), KeyRing([TWO, ONE])
    assert fault(after, signed(before)) == ""
    assert fault(after, signed(after)) == ""
    assert signed(after).signature == KeyRing([TWO]).sign("k", b"v"), "the first signs"
    assert (signed(after).signature or b"").startswith(b"two:")


RIGHT = signed(KeyRing([ONE]))
MAC = (RIGHT.signature or b"")[4:]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signature": None}, FORGED),
        ({"value": b"w"}, FORGED),
        ({"key": b"j"}, FORGED),
        ({"key": b"kv", "value": b""}, FORGED),
        ({"key": b"", "value": b"kv"}, FORGED),
        ({"key": None}, FORGED),
        ({"value": None}, FORGED),
        ({"signature": b"one:"}, FORGED),
        ({"signature": b"one:" + b"0" * 32}, FORGED),
        ({"signature": b"one:" + MAC[:-1]}, FORGED),
        ({"signature": b"one:" + MAC + b" "}, FORGED),
        ({"signature": b"one:" + MAC.hex().encode()}, FORGED),
        ({"signature": b"one:" + "é".encode() * 32}, FORGED),
        ({"signature": b"two:" + MAC}, UNKNOWN_KEY),
        ({"signature": MAC}, UNKNOWN_KEY),
        ({"signature": b""}, UNKNOWN_KEY),
        ({"signature": b"\xff\x00" * 5_000}, UNKNOWN_KEY),
        ({"partition": 7, "offset": 9}, ""),
    ],
    ids=str,
)
def test_anything_else_is_not_right(changes: dict[str, Any], code: str) -> None:
    record = RIGHT._replace(**changes)
    found = KeyRing([ONE]).fault_of(record)
    assert ("" if found is None else found.code) == code
    assert found is None or len(found.reason) < 400


def test_another_secret_under_the_same_id_is_wrong() -> None:
    assert fault(KeyRing([OTHER]), RIGHT) == FORGED


def test_an_empty_record_is_not_taken_for_one_without_key_and_value() -> None:
    ring = KeyRing([ONE])
    assert fault(ring, signed(ring, "", b"")._replace(key=None)) == FORGED


def test_rings_that_verify_the_same_have_one_digest_and_others_another() -> None:
    rings = ([ONE], [TWO], [ONE, TWO], [TWO, ONE], [OTHER], [OTHER, TWO])
    digests = [KeyRing(ring).digest for ring in rings]
    assert digests[2] == digests[3]
    assert len(set(digests)) == 5
    assert not any(secret in digest for _, secret in (ONE, TWO) for digest in digests)


@pytest.mark.parametrize(
    ("servers", "keys", "chosen", "signs"),
    [
        ("kafka:9092", [ONE], None, True),
        ("kafka:9092", [ONE], False, False),
        ("kafka:9092", [], None, False),
        ("", [ONE], None, False),
        ("", [ONE], True, True),
    ],
)
def test_records_are_signed_by_default_with_kafka_once_there_is_a_key(
    servers: str, keys: list[tuple[str, str]], chosen: bool | None, signs: bool
) -> None:
    with postlog(kafka={"bootstrap_servers": servers}, RECORD_KEYS=keys, SIGN_RECORDS=chosen):
        assert (key_ring() is not None) == signs
        said = [one.id for one in records_are_signed()]
        assert said == (["postlog.W012"] if servers and not signs else [])


def test_a_message_is_not_signed_unless_somebody_does() -> None:
    assert Message("k", b"v").signature is None


SECRET = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("ring", "says"),
    [
        (SECRET, "Key 1 has no id"),
        (f"a:{SECRET},{SECRET}", "Key 2 has no id"),
        (f":{SECRET}", "The id of key 1 is not"),
        (f"a b:{SECRET}", "The id of key 1 is not"),
        (f"{'a' * 33}:{SECRET}", "The id of key 1 is not"),
        (f"a:{SECRET},a:{SECRET}x", "Key 2 has the id of another one."),
        (f"a:{SECRET},b:{SECRET}", "Key 2 has the secret of another one."),
        ("a:", "The secret of key 1 can be guessed"),
        (f"a:{SECRET[:31]}", "The secret of key 1 can be guessed"),
        (f"{'0123456789abcdef' * 2}:a", "The secret of key 1 can be guessed"),  # swapped
        (f"a:{'0' * 64}", "The secret of key 1 can be guessed"),
    ],
)
def test_nothing_starts_on_a_ring_that_cannot_be_meant(
    monkeypatch: pytest.MonkeyPatch, ring: str, says: str
) -> None:
    (said,) = problems(monkeypatch, kafka.record_keys, {"RECORD_KEYS": ring})
    assert said.startswith(f"RECORD_KEYS: {says}")
    assert "id:secret" in said
    assert "0123456789" not in said, "no secret is shown"


def test_others_can_verify_a_signature() -> None:
    """As docs/operations.md says: HMAC with SHA-256, of the length of the key, key and value."""
    for secret in (ONE[1], "x" * 64, "x" * 65, "é" * 40):
        mac = hmac.digest(secret.encode(), b"3:key" + b"value", "sha256")
        assert KeyRing([("one", secret)]).sign("key", b"value") == b"one:" + mac
