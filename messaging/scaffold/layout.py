"""Lay rendered code out as `ruff format` and its isort rules would: any name may be long."""

import re
import tomllib
from pathlib import Path

DEFAULT_WIDTH = 88
OPENING, CLOSING = "([{", ")]}"
IMPORT = re.compile(r"from (\.\S*) import (.+)")
UNION = re.compile(r"(\w+) = (\w+(?: \| \w+)+)")


def line_length(root: Path) -> int:
    """Read the line length that this folder sets for ruff or black."""
    for name in ("ruff.toml", ".ruff.toml", "pyproject.toml"):
        if (path := root / name).is_file():
            try:
                found = tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError):
                continue
            tools = found.get("tool", {}) if name == "pyproject.toml" else {"ruff": found}
            for tool in ("ruff", "black"):
                if isinstance(width := tools.get(tool, {}).get("line-length"), int):
                    return width
    return DEFAULT_WIDTH


def tidy(text: str, width: int) -> str:
    """Sort relative imports, fold long lines, and set the blank lines between definitions."""
    lines: list[str] = []
    imports: list[str] = []
    for line in [*text.split("\n"), ""]:
        if found := IMPORT.fullmatch(line):
            names = sorted(found[2].split(", "), key=_import_order)
            imports.append(f"from {found[1]} import {', '.join(names)}")
            continue
        lines += sorted(imports)
        imports = []
        lines.append(line)
    folded = "\n".join(part for line in lines for part in fold(line.rstrip(), width))
    return re.sub(r"\n{3,}(?= )", "\n\n", re.sub(r"\n{4,}", "\n\n\n", folded)).strip() + "\n"


def fold(line: str, width: int) -> list[str]:
    """One line, or several if it is longer than `width`: an argument or a name in each."""
    code = line.lstrip()
    if len(line) <= width or code.startswith(('"', "#")):
        return [line]
    indent = line[: len(line) - len(code)]
    if found := UNION.fullmatch(code):
        inner = [f"    {found[2]}"]
        if len(inner[0]) > width:
            inner = [f"    {found[2]}".replace(" | ", "\n    | ")]
        return [f"{found[1]} = (", *inner, ")"]
    if code.startswith("from "):
        head, _, names = line.partition("import ")
        return [f"{head}import (", *(f"    {name}," for name in names.split(", ")), ")"]
    brackets = _brackets(code)
    if brackets is None:
        return [line]
    start, end = brackets
    inner = [
        part
        for argument in _arguments(code[start + 1 : end])
        for part in fold(f"{indent}    {argument},", width)
    ]
    return [f"{indent}{code[: start + 1]}", *inner, f"{indent}{code[end:]}"]


def _brackets(code: str) -> tuple[int, int] | None:
    """The outermost pair that is broken up: of a definition the first, else the last."""
    pairs, depth, start = [], 0, 0
    for at, char in enumerate(code):
        if char in OPENING:
            start = at if depth == 0 else start
            depth += 1
        elif char in CLOSING:
            depth -= 1
            if depth == 0 and at > start + 1:
                pairs.append((start, at))
    if not pairs:
        return None
    return pairs[0 if code.startswith(("def ", "class ")) else -1]


def _arguments(inside: str) -> list[str]:
    """Split at the commas between arguments."""
    found, depth, begun = [], 0, 0
    for at, char in enumerate(inside):
        depth += (char in OPENING) - (char in CLOSING)
        if char == "," and depth == 0:
            found.append(inside[begun:at].strip())
            begun = at + 1
    return [one for one in (*found, inside[begun:].strip()) if one]


def _import_order(name: str) -> tuple[int, list[int | str]]:
    """Constants, then classes, then functions; numbers within a name by their value."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, [int(one) if one.isdigit() else one for one in re.split(r"(\d+)", name.lower())]
