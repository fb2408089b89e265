"""DRF's and knox's authentication, for which credentials that no database holds are wrong ones.

As they come, bytes that are not UTF-8 raise ValueError, and on PostgreSQL NUL characters raise
ValueError (psycopg 2) or DataError (psycopg 3): a 500 for what a client sent. Settings name
these classes, so this module must not import what reads them (rest_framework.views): that
would be a circle.
"""

from functools import cache
from hmac import compare_digest
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import DataError, connections, router
from django.http import HttpRequest
from django.utils import timezone
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.crypto import hash_token
from knox.models import get_token_model
from knox.settings import CONSTANTS, knox_settings
from rest_framework.authentication import BasicAuthentication as DRFBasicAuthentication
from rest_framework.authentication import get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from accounts import login_throttle
from messaging import KeptStatement
from web.throttles import count_request


class TokenAuthentication(KnoxAuthentication):  # type: ignore[misc]  # knox comes without types
    """`Authorization: Token ...`."""

    def authenticate(self, request: Request) -> Any:
        try:
            return super().authenticate(request)
        except AuthenticationFailed:
            self._count(request)
            raise
        except (ValueError, DataError):
            self._count(request)
            raise AuthenticationFailed("Invalid token.") from None

    def identify(self, request: HttpRequest) -> Any:
        """The person whose token it is, for the short way of the API. None: `authenticate` has to
        look, and to say what is wrong."""
        sent = get_authorization_header(request).split()  # type: ignore[arg-type]
        scheme: bytes = self.authenticate_header(request).lower().encode()
        if len(sent) != 2 or sent[0].lower() != scheme or knox_settings.AUTO_REFRESH:
            return None
        found = found_token(sent[1].decode())
        return found and found[0]

    def authenticate_credentials(self, token: bytes) -> Any:
        """What is no token that counts is left to knox, which says why."""
        found = None if knox_settings.AUTO_REFRESH else found_token(token.decode())
        return found or super().authenticate_credentials(token)

    def _count(self, request: Request) -> None:
        """Count a wrong one by its address. Views count only who has passed here."""
        rate = count_request(request._request, AnonymousUser())
        if rate is not None and rate.exceeded:
            raise Throttled(rate.reset_s) from None

    def _cleanup_token(self, auth_token: Any) -> bool:
        """Whether the token has expired. knox would look, at each request, for expired ones
        among all others of the person, which costs as much as finding this one."""
        if auth_token.expiry is None or auth_token.expiry > timezone.now():
            return False
        expired: bool = super()._cleanup_token(auth_token)
        return expired


def found_token(token: str) -> Any:
    """The person and the token's row, by one statement; None if it is wrong or has ended. What else
    there is to know of the two is looked up when it is asked for."""
    model, people = get_token_model(), get_user_model()
    alias = router.db_for_read(model)
    connection, key = connections[alias], token[: CONSTANTS.TOKEN_KEY_LENGTH]
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    for digest, pk, username in _find_token().rows(connection, key, now):
        if compare_digest(digest, hash_token(token)):
            known = {people._meta.pk.attname: pk, people.USERNAME_FIELD: username}
            user = _partly(people, alias, {**known, "is_active": True})
            row = _partly(model, alias, {"digest": digest})
            row.user = user
            return user, row
    return None


def _partly(model: Any, alias: str, known: dict[str, Any]) -> Any:
    """A row of which these values are known."""
    names = [field.attname for field in model._meta.concrete_fields if field.attname in known]
    return model.from_db(alias, names, [known[name] for name in names])


@cache
def _find_token() -> KeptStatement:
    tokens, people = get_token_model()._meta, get_user_model()._meta
    name: Any = people.get_field(get_user_model().USERNAME_FIELD)
    return KeptStatement(
        "postlog_token",
        f"SELECT t.digest, u.{people.pk.column}, u.{name.column} "
        f"FROM {tokens.db_table} t JOIN {people.db_table} u ON u.{people.pk.column} = t.user_id "
        "WHERE t.token_key = %s AND u.is_active AND (t.expiry IS NULL OR t.expiry > %s)",
    )


class BasicAuthentication(DRFBasicAuthentication):
    """HTTP Basic. Each request costs a password hash, so the limits are asked before."""

    def authenticate_credentials(
        self, userid: str, password: str, request: Request | None = None
    ) -> Any:
        assert request is not None, "DRF hands it over"
        with login_throttle.password(request._request, userid):
            return super().authenticate_credentials(userid, password, request)

    def authenticate(self, request: Request) -> Any:
        try:
            return super().authenticate(request)
        except (ValueError, DataError):
            raise AuthenticationFailed("Invalid username/password.") from None

    def authenticate_header(self, request: Request) -> str:
        return "Token"  # also at the token endpoint: "Basic" makes browsers pop up a dialog
