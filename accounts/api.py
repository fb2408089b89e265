"""Tokens for the API: Basic authentication costs a password hash on each request, a token not."""

from typing import Any

from drf_spectacular.authentication import BasicScheme as SpectacularBasicScheme
from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from drf_spectacular.utils import extend_schema
from knox.models import AuthToken
from knox.views import LoginView
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import tokens
from accounts.authentication import BasicAuthentication
from messaging import error_responses


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField()
    expiry = serializers.DateTimeField()


class TokenView(LoginView):  # type: ignore[misc]  # knox comes without types
    """Sign in with HTTP Basic and get a token for `Authorization: Token ...`."""

    authentication_classes = [BasicAuthentication]

    @extend_schema(
        operation_id="CreateToken",
        request=None,
        responses={200: TokenSerializer, **error_responses(401, 403, 405, 406, 429, 503)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        response: Response = super().post(request)
        return response

    def get_token_limit_per_user(self) -> None:
        """knox would count without a lock, and answer in a form of its own."""

    def create_token(self) -> tuple[AuthToken, str]:
        return tokens.create(self.request._request, self.request.user)


class TokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]  # drf-spectacular finds it
    target_class = "accounts.authentication.TokenAuthentication"
    name = "token"


class BasicScheme(SpectacularBasicScheme):  # type: ignore[no-untyped-call]  # and this
    target_class = "accounts.authentication.BasicAuthentication"
    name = "basic"
