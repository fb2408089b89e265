"""What is vendored is what its makers published."""

import re
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENDORED = {
    # htmx.org 2.0.11, dist/htmx.min.js; Zero-Clause BSD
    "messaging/static/messaging/htmx-2.0.11.min.js": (
        "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
    ),
}


def test_vendored_files_are_as_published() -> None:
    for name, digest in VENDORED.items():
        assert sha256((ROOT / name).read_bytes()).hexdigest() == digest, name


def test_pages_load_nothing_from_elsewhere_and_write_no_script_or_style_inline() -> None:
    templates = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "messaging").rglob("*.html")]
    assert len(templates) > 25
    for template in templates:
        text = template.read_text()
        assert not re.search(r"(src|href)=\"(https?:)?//", text), template
        assert not re.search(r"<style|style=|\son[a-z]+=|javascript:|<script(?! src)", text), (
            template
        )
