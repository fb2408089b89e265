# ruff: noqa: RUF001
"""What a new account may be called, and which names look the same."""

import unicodedata

import pytest
from django.core.exceptions import ValidationError

from accounts import names

GOOD = [
    "Œuvre",
    "alice", "Alice", "a", "1", "a.b_c-d+e@f", "josé", "Łukasz", "Ðorðe", "Straße",
    "Σωκράτης", "Иван", "Їжак", "გიორგი", "Արամ", "שלמה", "محمد", "محمد٣", "नमन", "สมชาย", "አበበ",
    "山田太郎", "ひらがな", "カタカナー", "山田タロウ", "龥龦", "김철수", "金철수", "x" * 150,
]  # fmt: skip
BAD = [
    "", ".", "..", "_", "+-@", "a b", "a/b", "a\\b", "a:b", "a'b", "a\0b", "a\nb", "a\u00a0b",
    "<b>",
    "x" * 151, "\ud800", "\U0010ffff", "😀",
    # not seen
    "a\u115f", "a\u1160", "\u3164", "\uffa0", "م\u0640م", "a\u200b", "a\u200d", "a\u00ad",
    "a\u034f",
    "a\u180e", "ក\u17b4", "a\u2060", "a\ufe0f", "a\U000e0061", "a\u202eb", "a\ufeff", "\u07faߊ",
    # marks, and other forms of the same letters
    "e\u0301", "q\u0301", "राम", "Ａlice", "ﬁ", "ℓ", "ſ", "①", "x²", "㎏", "ᴬ", "𝐚𝐥𝐢𝐜𝐞",
    # letters that are signs elsewhere, and no letters
    "ǃa", "aꞌb", "ː", "a·b", "a‐b", "a–b", "a․b", "a＠b", "Ⅷ",
    # two scripts
    "аlice", "alicе", "Αlice", "bοb", "山a", "aガ", "김a", "김カ", "שa", "Ивaн", "محمدa", "рaypal",
    # digits of two kinds
    "ب1٢",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD, ids=ascii)
def test_a_name_of_one_script_is_one(name: str) -> None:
    names.check(name)


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_what_cannot_be_told_apart_seen_or_linked_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        names.check(name)
    assert "name" in refused.value.message
    refused.value.message.encode()  # a page can show it


def test_the_refusal_names_the_letter_that_is_not_seen() -> None:
    with pytest.raises(ValidationError, match=r"U\+3164|NFKC"):
        names.check("a\u3164")
    with pytest.raises(ValidationError, match=r"U\+115F HANGUL CHOSEONG FILLER"):
        names.check("a\u115f")
    with pytest.raises(ValidationError, match="CYRILLIC SMALL LETTER A and U"):
        names.check("аlice")


SAME = [
    ("alice", "aIice"), ("bob1", "bobl"), ("bob0", "bobO"), ("Ivan", "lvan"), ("modern", "modem"),
    ("Modern", "Modem"), ("modern", "Modem"),
    ("сор", "cop"), ("СОР", "cop"), ("Вор", "Bop"), ("ΑΒΕ", "abe"),
    ("alıce", "alice"), ("Straße", "strasse"), ("ВОВ", "bob"), ("ӏvan", "lvan"),
    ("力", "カ"), ("口", "ロ"), ("e\u0301", "é"), ("Ａlice", "alice"),
]  # fmt: skip
OTHER = [("alice", "alise"), ("jose", "josé"), ("a.b", "a_b"), ("a.b", "ab"), ("иван", "ivan"),
         ("bob1", "bob2"), ("o", "u"), ("山", "川"), ("lukasz", "łukasz")]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_names_that_look_the_same_have_one_skeleton(one: str, other: str) -> None:
    assert names.skeleton(one) == names.skeleton(other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_names_that_look_different_have_two(one: str, other: str) -> None:
    assert names.skeleton(one) != names.skeleton(other)


def test_no_letter_that_is_ignored_when_shown_is_in_the_table() -> None:
    """Default_Ignorable_Code_Point, and marks: a name of them looks like another or like none."""
    for first, last, _ in names._table()["letters"]:
        for code in range(first, last + 1):
            character = chr(code)
            assert unicodedata.category(character)[0] in "LN", hex(code)
            assert unicodedata.is_normalized("NFKC", character), hex(code)
            assert character.isprintable(), hex(code)


@pytest.mark.parametrize("name", GOOD, ids=ascii)
def test_a_name_in_another_case_is_the_same_name(name: str) -> None:
    folded = names.casefolded(name)
    assert {names.casefolded(one) for one in (name.upper(), name.lower(), folded)} == {folded}


def test_the_keys_of_a_name_fit_their_columns_and_an_index_of_postgresql() -> None:
    assert names.KEY_LENGTH * len("\U0010ffff".encode()) < 2_704
    for letter in "\ucb94mΐ":  # those that become the most
        name = letter * names.MAX_LENGTH
        assert len(names.skeleton(name)) <= names.KEY_LENGTH
        assert len(names.casefolded(name)) <= names.KEY_LENGTH
