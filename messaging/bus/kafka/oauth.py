"""Tokens for OAUTHBEARER, from a function of the project that both clients ask."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

PROVIDER = "sasl_oauth_token_provider"
SETTING = f'POSTLOG["KAFKA"]["security"]["{PROVIDER}"]'
RENEWED_AT = 0.8  # of a token's life, as librdkafka does


class Token(NamedTuple):
    """What a provider returns; a plain tuple does, and its last part can be left out."""

    value: str
    expires_at: float  # in Unix time
    extensions: Mapping[str, str] = {}


class Tokens:
    """Gives out the provider's last token until it is nearly over. Safe to use from any thread."""

    def __init__(self, provider: Callable[[], Any]) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._token = Token("", 0.0)
        self._renew_at = 0.0

    def current(self) -> Token:
        with self._lock:
            now = time.time()
            if now >= self._renew_at:
                self._token = Token(*self._provider())
                self._renew_at = now + RENEWED_AT * (self._token.expires_at - now)
            return self._token


def tokens(security: Mapping[str, Any]) -> Tokens | None:
    """Of the provider whose dotted path the settings have, if there is one."""
    path = security.get(PROVIDER)
    if not isinstance(path, str):
        return None
    try:
        return Tokens(import_string(path))
    except ImportError as error:
        raise ImproperlyConfigured(
            f"{SETTING} cannot be imported: {error}. Name a function without arguments that "
            "returns a token and the Unix time at which it expires."
        ) from error
