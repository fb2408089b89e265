"""Pages as gzip, by Django, with padding of a random length: what `web.pages.page` decorates.

Not what has secrets that stay the same (accounts, the console), not the API, whose ETags are
strong, nor files, which are compressed once (docs/decisions/0044-what-is-compressed.md).
"""

from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware

_gzip = GZipMiddleware(lambda _: HttpResponse())  # only its half that sees answers is asked


def compress(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """Make the page gzip, if the browser takes it and it is shorter so; return it."""
    _gzip.process_response(request, answer)
    return answer
