"""A request whose text is UTF-8, whatever its Content-Type says."""

from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    """Django reads address and form in the charset that a client names, of a GET as well. Where
    that is a codec of bytes (base64), or a parameter of the header cannot be decoded, it fails
    before any middleware: a 500 without a page, at every address (5.2, tried)."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            kind, params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (LookupError, ValueError):
            meta["CONTENT_TYPE"], kind, params = "", "", {}
        self.content_type, self.content_params = kind, params
