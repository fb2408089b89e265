"""Tokens for the API: Basic authentication costs a password hash on each request, a token not."""

from typing import Any

from drf_spectacular.utils import extend_schema
from knox.views import LoginView
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from messaging.api.authentication import BasicAuthentication
from messaging.api.openapi import errors
from messaging.api.renderers import BrowsableRenderer, FastJSONRenderer


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField()
    expiry = serializers.DateTimeField()


class TokenView(LoginView):  # type: ignore[misc]  # knox comes without types
    """Sign in with HTTP Basic and get a token for `Authorization: Token ...`."""

    authentication_classes = [BasicAuthentication]
    renderer_classes = [FastJSONRenderer, BrowsableRenderer]

    @extend_schema(
        operation_id="CreateToken",
        request=None,
        responses={200: TokenSerializer, **errors(401, 405, 406, 429, 503)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        response: Response = super().post(request)
        return response
