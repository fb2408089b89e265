"""Sessions in the database, as Django has them, but a key that cannot be one is none.

A quoted cookie may hold a NUL character, which PostgreSQL refuses with a ValueError: a
500 on every page.
"""

from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore
from django.contrib.sessions.middleware import SessionMiddleware as DjangosSessionMiddleware
from django.http import HttpRequest, HttpResponse

from messaging import is_away
from web.errors import unavailable


class SessionStore(DatabaseSessionStore):
    def _validate_session_key(self, key: str | None) -> bool:
        valid = super()._validate_session_key(key)  # type: ignore[misc]  # not in the stubs
        return bool(valid and key and key.isascii() and key.isalnum())


class SessionMiddleware(DjangosSessionMiddleware):
    """Django's saves the session after the view, where nobody catches that the database is away."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        try:
            return super().process_response(request, response)
        except Exception as error:
            if not is_away(error):
                raise
            return unavailable(request)
