"""Forms, as a browser has them."""

import re
from html import unescape

from messaging.projections.registry import PROJECTIONS
from tests.support.consuming import consume_all
from tests.support.relaying import publish_all


def hidden(page: str) -> dict[str, str]:
    """The hidden fields, as a browser sends them: with line ends of \\r\\n."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {name: re.sub("\r?\n", "\r\n", unescape(value)) for name, value in found}


def arrive() -> None:
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)
