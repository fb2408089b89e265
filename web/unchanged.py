"""304 for a page that is as the browser has it.

Left out of the comparison is what differs whenever a page is made: the mask of its CSRF token,
whose secret counts instead, and the id of its text form. That id makes a text count once, so the
page is another as soon as its person has changed something: the same text is then a second one
(docs/decisions/0041-pages-that-did-not-change.md). So the ETag is a weak one: what is left out may
differ, and so may the encoding.
"""

import re
from hashlib import blake2b

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag

TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="(\w+)"')
FORM_ID = re.compile(rb'name="form" value="(\w+)"')


def unless_unchanged(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """The page with its ETag, or 304."""
    body = answer.content
    changes = getattr(request, "own_changes", None)  # where the page looked for them
    if form := FORM_ID.search(body):
        if changes is None:
            return answer
        body = body.replace(form[1], b"")
    if token := TOKEN.search(body):
        body = body.replace(token[1], request.META["CSRF_COOKIE"].encode())
    key = blake2b(settings.SECRET_KEY.encode()).digest()
    digest = blake2b(f"{changes}".encode() + body, key=key, digest_size=16)
    answer["ETag"] = etag = f"W/{quote_etag(digest.hexdigest())}"
    patch_cache_control(answer, private=True, no_cache=True)
    return get_conditional_response(request, etag, response=answer) or answer
