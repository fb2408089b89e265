"""Stored documents are shown as they are, whatever is in them."""

import pytest

from messaging.monitoring.pretty_json import readable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (None, "-"),
        (b'{"a":[1]}', '{\n  "a": [\n    1\n  ]\n}'),
        ('"\\u00e9"', '"é"'),
        (b'"\\ud800 and \\udfff"', r'"\ud800 and \udfff"'),
        (b'{"\\ud800": 1}', '{\n  "\\ud800": 1\n}'),
        (b'"\\ud83d\\ude00"', '"\U0001f600"'),
        (b"\xff{", r"\xff{"),
        (b"[" * 100_000, "[" * 100_000),
    ],
    ids=["nothing", "JSON", "escaped", "surrogates", "in a key", "a pair", "bytes", "deep"],
)
def test_a_document_can_be_encoded_for_a_page(raw: str | bytes | None, shown: str) -> None:
    assert readable(raw) == shown
    assert readable(raw).encode()
