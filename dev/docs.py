"""Hooks of the documentation's site (mkdocs.yml): `make docs`.

Pages link to files of the repository that are not on the site, such as code. Who reads them in the
repository can follow these links; on the site the path stands in their place.
"""

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\[([^]]*)\]\((\.\./[^)#\s]*)(?:#[^)]*)?\)")
DECISION = re.compile(r"\d{4}-.*\.md")
FOREIGN = re.compile(
    r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*"""
)

log = logging.getLogger("mkdocs.hooks")  # a warning fails a strict build


def on_page_markdown(markdown: str, page: Any, **kwargs: Any) -> str:
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))
    if page.file.src_uri == "decisions/index.md":
        markdown += "\n".join(_decisions())
    return LINK.sub(lambda found: _in_the_repository(found, folder, page.file.src_uri), markdown)


def on_post_page(output: str, page: Any, **kwargs: Any) -> str:
    for tag in FOREIGN.findall(output):
        if 'rel="canonical"' not in tag:
            log.warning("%s loads from another host: %s", page.file.src_uri, tag[:120])
    return output


def _in_the_repository(found: re.Match[str], folder: str, page: str) -> str:
    """A link out of docs/, as the path that it leads to; any other as it is."""
    text, target = found.groups()
    path = posixpath.normpath(posixpath.join(folder, target))
    if path.startswith("docs/"):
        return found.group()
    if not (ROOT / path).exists():
        log.warning("%s links to %s, which is not in the repository.", page, path)
    return f"`{path}`" if path.endswith(text.strip("`/")) else f"{text} (`{path}`)"


def _decisions() -> list[str]:
    files = sorted(
        file for file in (ROOT / "docs" / "decisions").iterdir() if DECISION.fullmatch(file.name)
    )
    return [f"- [{_title(file)}]({file.name})" for file in files]


def _title(file: Path) -> str:
    return file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
