"""DRF's and knox's authentication, for which credentials that no database holds are wrong ones.

As they come, bytes that are not UTF-8 and, on PostgreSQL, NUL characters raise ValueError:
a 500 for what a client sent.
"""

from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox.auth import TokenAuthentication as KnoxAuthentication
from rest_framework.authentication import BasicAuthentication as DRFBasicAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


class TokenAuthentication(KnoxAuthentication):  # type: ignore[misc]  # knox comes without types
    """`Authorization: Token ...`."""

    def authenticate(self, request: Request) -> Any:
        try:
            return super().authenticate(request)
        except ValueError:
            raise AuthenticationFailed("Invalid token.") from None


class BasicAuthentication(DRFBasicAuthentication):
    """HTTP Basic."""

    def authenticate(self, request: Request) -> Any:
        try:
            return super().authenticate(request)
        except ValueError:
            raise AuthenticationFailed("Invalid username/password.") from None

    def authenticate_header(self, request: Request) -> str:
        return "Token"  # also at the token endpoint: "Basic" makes browsers pop up a dialog


class TokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call,misc]
    """Found by drf-spectacular, because it is a subclass."""

    target_class = "messaging.api.authentication.TokenAuthentication"
    name = "token"
