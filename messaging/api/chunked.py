"""Bodies sent in chunks, without a Content-Length: Django takes them for empty."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.conf import settings

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def with_bodies_of_unknown_length(application: Application) -> Application:
    """Read such a body before Django does, no further than what is too large is known."""

    def wrapped(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # Where the server does not say that the input ends, reading it could wait for ever.
        if not environ.get("CONTENT_LENGTH") and environ.get("wsgi.input_terminated"):
            body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            environ["wsgi.input"] = BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return application(environ, start_response)

    return wrapped
