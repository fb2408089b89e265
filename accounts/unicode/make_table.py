"""Make names.json from the files of the Unicode Character Database and of UTS #39.

    python accounts/unicode/make_table.py FOLDER

FOLDER holds confusables.txt, IdentifierStatus.txt, Scripts.txt, ScriptExtensions.txt and
PropertyValueAliases.txt of one version, from https://www.unicode.org/Public/. Run it with the
oldest Python that the project supports: letters that it does not know are left out, so that a
name is one wherever it is checked. When the table changes, add a migration that computes the
skeletons of all accounts anew, as 0002_skeletons does.
"""

import json
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
# Japanese and Korean are written in several scripts, and count as one (UTS #39, 5.1).
WRITTEN_WITH = {
    "Hani": ("Hanb", "Jpan", "Kore"),
    "Hira": ("Jpan",),
    "Kana": ("Jpan",),
    "Hang": ("Kore",),
    "Bopo": ("Hanb",),
}
ANY = ("Zyyy", "Zinh")  # of no script of its own
PUNCTUATION = "._-+@"


def fields(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if values := line.partition("#")[0].strip():
            yield [value.strip() for value in values.split(";")]


def by_code_point(path: Path) -> Iterator[tuple[int, list[str]]]:
    for codes, *values in fields(path):
        first, _, last = codes.partition("..")
        for code in range(int(first, 16), int(last or first, 16) + 1):
            yield code, values


def scripts(folder: Path) -> dict[int, str]:
    """Code point -> the scripts that it is of, by their short names; "" is any."""
    aliases = {v[2]: v[1] for v in fields(folder / "PropertyValueAliases.txt") if v[0] == "sc"}
    found = {code: [aliases[v[0]]] for code, v in by_code_point(folder / "Scripts.txt")}
    found |= {code: v[0].split() for code, v in by_code_point(folder / "ScriptExtensions.txt")}
    return {
        code: " ".join(
            sorted({name for one in names for name in (one, *WRITTEN_WITH.get(one, ()))})
            if not set(names) & set(ANY)
            else ()
        )
        for code, names in found.items()
    }


def letters(folder: Path, script_of: dict[int, str]) -> dict[int, str]:
    """Code point -> scripts of each letter and digit that a name may have: what UTS #39 allows
    in identifiers, and every Chinese character (it allows the common ones)."""
    allowed = {code for code, _ in by_code_point(folder / "IdentifierStatus.txt")}
    allowed |= {code for code, names in script_of.items() if "Hani" in names.split()}
    return {
        code: script_of.get(code, "")
        for code in sorted(allowed)
        if unicodedata.category(chr(code)) in ("Ll", "Lu", "Lt", "Lo", "Lm", "Nd")
        and unicodedata.is_normalized("NFKC", chr(code))
    }


def ranges(letters: dict[int, str]) -> list[list[int | str]]:
    """[first, last, scripts], in order."""
    found: list[list[int | str]] = []
    for code, names in letters.items():
        if found and found[-1][1] == code - 1 and found[-1][2] == names:
            found[-1][1] = code
        else:
            found.append([code, code, names])
    return found


def confusables(folder: Path, start: str) -> dict[str, str]:
    """What names can come to, from character to prototype, as `skeleton` maps them."""
    every = {
        chr(int(source, 16)): "".join(chr(int(code, 16)) for code in target.split())
        for source, target, _ in fields(folder / "confusables.txt")
    }
    wanted = set(unicodedata.normalize("NFD", start))
    mapped = "".join(every.get(one, one) for one in wanted)
    wanted |= set(unicodedata.normalize("NFD", mapped.casefold()))
    return {one: every[one] for one in sorted(wanted) if one in every}


def main(folder: Path) -> None:
    version = next(
        line.split()[-1]
        for line in (folder / "confusables.txt").read_text(encoding="utf-8-sig").splitlines()
        if line.startswith("# Version:")
    )
    may_have = letters(folder, scripts(folder))
    start = "".join(map(chr, may_have)) + PUNCTUATION
    table = {
        "unicode": version,
        "letters": ranges(may_have),
        "confusables": confusables(folder, start),
    }
    text = json.dumps(table, ensure_ascii=True, separators=(",", ":"))
    (HERE / "names.json").write_text(text.replace("],[", "],\n[").replace('","', '",\n"') + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
