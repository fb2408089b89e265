"""JSON of which no two parsers make different things."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.api import strict_json

REFUSED = {
    "a key twice": '{"a": 1, "a": 1}',
    "a key twice inside": '{"a": [{"b": 1, "b": 2}]}',
    "a key twice, once escaped": r'{"a": 1, "\u0061": 2}',
    "not a number": "NaN",
    "infinity": "-Infinity",
    "a float beyond all": "1e400",
    "a float beyond all, below": "-1e400",
    "an integer of 5,000 digits": "9" * 5_000,
    "10,000 lists deep": "[" * 10_000 + "]" * 10_000,
    "10,000 objects deep": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "10,000 deep and never closed": "[" * 10_000,
    "one level too deep": "[" * (strict_json.MAX_DEPTH + 1) + "]" * (strict_json.MAX_DEPTH + 1),
    "nothing": "",
    "white space": "  ",
    "cut short": '{"a": ',
    "more after the end": "{} {}",
    "a byte order mark": "\ufeff{}",
    "a raw line end in a string": '"a\nb"',
    "single quotes": "{'a': 1}",
    "a comma too many": "[1,]",
    "no JSON": "hello",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_parsers_disagree_about_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        strict_json.loads(text)
    assert len(str(refused.value)) < 200


def test_nesting_up_to_the_limit_is_read() -> None:
    text = "[" * strict_json.MAX_DEPTH + "]" * strict_json.MAX_DEPTH
    assert json.dumps(strict_json.loads(text)) == text


def test_the_depth_allowed_does_not_depend_on_the_stack() -> None:
    text = '{"a":' * strict_json.MAX_DEPTH + "1" + "}" * strict_json.MAX_DEPTH

    def deeper(frames: int) -> object:
        return deeper(frames - 1) if frames else strict_json.loads(text)

    assert deeper(500) == strict_json.loads(text)


# Without surrogates. st.text() looks at every character there is, which takes 1.5 s the first time.
text = st.text(st.characters(exclude_categories=["Cs"]))
flat = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
documents = st.recursive(
    flat | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


@given(documents)
def test_what_was_written_is_read_back(document: object) -> None:
    assert strict_json.loads(json.dumps(document)) == document


@given(text)
def test_any_text_is_read_or_refused_as_a_value_error(text: str) -> None:
    with suppress(ValueError):
        strict_json.loads(text)
