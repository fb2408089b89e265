"""DRF's and knox's authentication, for which credentials that no database holds are wrong ones.

As they come, bytes that are not UTF-8 raise ValueError, and on PostgreSQL NUL characters raise
ValueError (psycopg 2) or DataError (psycopg 3): a 500 for what a client sent. Settings name
these classes, so this module must not import what reads them (rest_framework.views): that
would be a circle.
"""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import DataError
from django.utils import timezone
from knox.auth import TokenAuthentication as KnoxAuthentication
from rest_framework.authentication import BasicAuthentication as DRFBasicAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from accounts import login_throttle
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
