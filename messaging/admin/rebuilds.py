"""Rebuilds: ask for one, watch it, cancel it. As `manage.py rebuild` does it."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from messaging.admin.action_admin import ActionAdmin, Button
from messaging.admin.filters import choice
from messaging.exceptions import Invalid
from messaging.projections.models import Rebuild
from messaging.projections.registry import PROJECTIONS
from messaging.rebuilding import requests

ASKED = "A running manage.py runconsumer builds it."


def ask(source: str, request: HttpRequest, _: None) -> str:
    name = request.POST.get("projection", "")
    if name not in PROJECTIONS:
        known = ", ".join(PROJECTIONS)
        raise Invalid("invalid_choice", f"There is no such projection; choose {known}.")
    rebuild = requests.ask(name, source, request.user.get_username())
    return f"Asked for {name}, generation {rebuild.generation}. {ASKED}"


def cancel(request: HttpRequest, rebuild: Rebuild) -> str:
    if rebuild.pk != getattr(requests.active(rebuild.projection), "pk", None):
        return "It has ended already."
    requests.cancel(rebuild.projection)
    return "Cancelled. What it has built is removed by a running manage.py runconsumer."


@admin.register(Rebuild)
class RebuildAdmin(ActionAdmin):
    change_form_template = "admin/messaging/rebuild.html"
    change_list_template = "admin/messaging/rebuilds.html"
    list_filter = (choice("state", lambda: Rebuild.State.values),)
    list_display = (
        "asked_at", "projection", "generation", "source", "state", "progress", "asked_by",
    )  # fmt: skip
    ordering = ("-id",)
    fields = (
        "projection", "generation", "source", "state", "progress", "asked_by", "asked_at",
        "switched_at", "ended_at", "error",
    )  # fmt: skip
    readonly_fields = ("progress",)
    row_buttons = (
        Button("cancel", "Cancel", "change", "Stop it, and remove what it has built.", cancel),
    )
    list_buttons = (
        Button(
            "log",
            "Rebuild from the log",
            "add",
            f"Reads the log from its beginning. {ASKED}",
            partial(ask, Rebuild.Source.LOG),
        ),
        Button(
            "store",
            "Rebuild from the event store",
            "add",
            f"In one snapshot. {ASKED}",
            partial(ask, Rebuild.Source.STORE),
        ),
    )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {"projections": sorted(PROJECTIONS)})

    def buttons_for(self, row: Rebuild) -> tuple[Button, ...]:
        return () if row.state in (*Rebuild.ENDED, Rebuild.State.CLEANING_UP) else self.row_buttons

    @admin.display(description="progress")
    def progress(self, rebuild: Rebuild) -> str:
        return format_html(
            '<progress max="{}" value="{}"></progress> {} of {} events',
            max(rebuild.events_total, rebuild.events_done, 1),
            rebuild.events_done,
            f"{rebuild.events_done:,}",
            f"{max(rebuild.events_total, rebuild.events_done):,}",
        )
