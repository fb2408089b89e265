"""Operations of the read side, for staff: no commands, as nothing of them is an event."""

from dataclasses import dataclass
from inspect import getdoc
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from messaging.api.openapi import error_responses, summary
from messaging.api.renderers import BrowsableRenderer, FastJSONRenderer
from messaging.api.serializers import input_serializer
from messaging.api.views import ApiView, CommandPage
from messaging.monitoring.audit import record
from messaging.projections.models import Rebuild
from messaging.projections.registry import PROJECTIONS
from messaging.rebuilding import requests


class SeesRebuilds(BasePermission):
    """As in the console: staff with the permission to view rebuilds."""

    who = "Staff with the permission messaging.view_rebuild."
    message = "This takes a person of the staff with the permission messaging.view_rebuild."

    rights: tuple[str, ...] = ("messaging.view_rebuild",)

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        return user.is_active and user.is_staff and user.has_perms(self.rights)


class AsksForRebuilds(SeesRebuilds):
    """As the buttons of the console, whose page shows what was asked for."""

    who = "Staff with the permissions messaging.add_rebuild and messaging.view_rebuild."
    message = (
        "This takes a person of the staff with the permissions "
        "messaging.add_rebuild and messaging.view_rebuild."
    )
    rights = ("messaging.add_rebuild", *SeesRebuilds.rights)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReadDb:
    """Rebuild the read models from the log, beside the live ones. Without a name, all of them."""

    projection: str | None = None


class RebuildSerializer(serializers.ModelSerializer[Rebuild]):
    url = serializers.HyperlinkedIdentityField(view_name="rebuild")

    class Meta:
        model = Rebuild
        fields = (
            "url", "projection", "generation", "source", "state", "events_done", "events_total",
            "asked_by", "asked_at", "switched_at", "ended_at", "error",
        )  # fmt: skip
        read_only_fields = fields


class RebuildsSerializer(serializers.Serializer[Any]):
    rebuilds = RebuildSerializer(many=True)


class RestoreReadDbView(CommandPage):
    permission_classes = [AsksForRebuilds]
    serializer_class = input_serializer(RestoreReadDb)

    @extend_schema(
        operation_id="RestoreReadDb",
        summary=f"{summary(RestoreReadDb)} Staff.",
        description=f"{getdoc(RestoreReadDb)}\n\nWho may: {AsksForRebuilds.who}",
        request={"application/json": input_serializer(RestoreReadDb)},
        responses={
            202: RebuildsSerializer,
            **error_responses(400, 401, 403, 405, 406, 413, 415, 429, 503),
        },
        tags=["operations"],
    )
    def post(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        found = asked(serializer.validated_data.projection, request.user.get_username())
        context = {"request": request}
        answer = {"rebuilds": RebuildSerializer(found, many=True, context=context).data}
        headers = {"Location": reverse("rebuild", [found[0].pk], request=request)}
        return Response(answer, status=202, headers=headers)


RestoreReadDbView.__doc__ = RestoreReadDb.__doc__


class RebuildView(ApiView):
    """How far a rebuild has come."""

    permission_classes = [SeesRebuilds]
    renderer_classes = [FastJSONRenderer, BrowsableRenderer]

    @extend_schema(
        operation_id="FindRebuild",
        summary="How far a rebuild has come. Staff.",
        description=f"How far a rebuild has come.\n\nWho may: {SeesRebuilds.who}",
        responses={200: RebuildSerializer, **error_responses(401, 403, 404, 405, 406, 429, 503)},
        tags=["operations"],
    )
    def get(self, request: Request, pk: int) -> Response:
        rebuild = Rebuild.objects.filter(pk=pk).first()
        if rebuild is None:
            raise NotFound("There is no such rebuild.")
        return Response(RebuildSerializer(rebuild, context={"request": request}).data)


def asked(projection: str | None, username: str) -> list[Rebuild]:
    """Ask for a rebuild of one projection or of all; where one is under way, it is that."""
    if projection is not None and projection not in PROJECTIONS:
        known = ", ".join(sorted(PROJECTIONS))
        detail = f"There is no such projection; there are: {known}."
        raise ValidationError({"projection": [detail]}, code="invalid_choice")
    record(username, "rebuild", projection or "all")
    return [_asked(name, username) for name in ([projection] if projection else PROJECTIONS)]


def _asked(name: str, username: str) -> Rebuild:
    try:
        return requests.ask(name, requests.best_source(name), username)
    except requests.UnderWay as running:
        return running.rebuild
