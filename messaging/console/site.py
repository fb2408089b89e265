"""Django's admin, with the path from command to reader on its start page."""

from functools import update_wrapper
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import path, reverse

from messaging.console import path as shown
from messaging.console.dashboard import Dashboard

SEES_THE_PATH = "messaging.view_checkpoint"


class ConsoleSite(AdminSite):
    site_header = "Postlog console"
    site_title = "Postlog"
    index_title = "Console"
    index_template = "admin/messaging/start.html"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dashboard = Dashboard()

    def get_urls(self) -> list[Any]:
        return [
            path("console/", self.admin_view(self.console), name="console"),
            *super().get_urls(),
        ]

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Where a part of a page refreshes itself, an expired session gets a 401: htmx would
        follow the redirect, and put the sign-in page into the console."""
        whole = super().admin_view(view, cacheable)

        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.headers.get("HX-Request") == "true" and not self.has_permission(request):
                return HttpResponse(status=401)
            return whole(request, *args, **kwargs)

        return update_wrapper(answer, whole)

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """By the site's own form, which stops looking at passwords after some wrong ones."""
        if self.has_permission(request):
            return redirect("admin:index")
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def index(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        sees = request.user.has_perm(SEES_THE_PATH)
        context = self._path() if sees else {}
        return super().index(request, {**context, **(extra_context or {})})

    def console(self, request: HttpRequest) -> HttpResponse:
        """The part of the start page that refreshes itself."""
        if not request.user.has_perm(SEES_THE_PATH):
            raise PermissionDenied
        return render(request, "admin/messaging/console.html", self._path())

    def _path(self) -> dict[str, Any]:
        found = self._dashboard.current()
        return {"found": found, "steps": shown.steps(found), "rows": shown.rows(found)}
