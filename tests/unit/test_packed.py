"""A packed mapping is a dictionary, whenever it is packed, stored and loaded again."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands_app.packed import Packed

# Whatever could be mistaken for the marks of the text, beside names as people have them.
WORDS = st.text(alphabet=st.sampled_from('ab<>% +@é\n\\"\0'), max_size=4)
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "remove", "pack", "store"]), WORDS, WORDS)
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_it_is_a_dictionary(steps: list[tuple[str, str, str]]) -> None:
    packed, model = Packed(), dict[str, str]()
    for kind, key, value in steps:
        if kind == "put":
            packed.change(key, value) if key in model else packed.add(key, value)
            model[key] = value
        elif kind == "remove" and key in model:
            packed.remove(key)
            del model[key]
        elif kind == "pack":
            packed.pack()
        elif kind == "store":
            packed = msgspec.json.decode(msgspec.json.encode(packed), type=Packed)
        assert dict(packed.items()) == model
        assert len(packed) == len(model)
        assert (packed.get(key), key in packed) == (model.get(key), key in model)


def test_what_was_packed_is_one_string() -> None:
    packed = Packed()
    for number in range(100):
        packed.add(f"name{number}", "x")
    packed.remove("name7")
    packed.pack()
    assert packed.changed == {}
    assert packed.text.count("<") == len(packed) == 99


@pytest.mark.parametrize("half", ["nam", "ame", "name", "e1", "<", "1>x", ""])
def test_a_part_of_a_key_is_no_key(half: str) -> None:
    packed = Packed()
    for number in range(12):
        packed.add(f"name{number}", "x")
    packed.pack()
    assert packed.get(half) is None
    assert packed.get("name1") == "x"
