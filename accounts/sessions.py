"""Sessions in the database, as Django has them, but a key that cannot be one is none.

A quoted cookie may hold a NUL character, which PostgreSQL refuses with a ValueError: a
500 on every page.
"""

from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore


class SessionStore(DatabaseSessionStore):
    def _validate_session_key(self, key: str | None) -> bool:
        valid = super()._validate_session_key(key)  # type: ignore[misc]  # not in the stubs
        return bool(valid and key and key.isascii() and key.isalnum())
