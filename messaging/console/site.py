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

from messaging.console import finding, plots
from messaging.console import path as shown
from messaging.console.axis import SPANS, span_of
from messaging.console.dashboard import Dashboard
from messaging.console.problems import verdict_on
from messaging.console.tasks import by_task
from messaging.monitoring.models import OperatorAction

SEES_THE_PATH = "messaging.view_checkpoint"
SEES_ACTIONS = "messaging.view_operatoraction"
ACTIONS_SHOWN = 10


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
            path("console/plots/", self.admin_view(self.plots), name="console-plots"),
            path("find/", self.admin_view(self.find), name="find"),
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
        context["may_search"] = finding.may_search(request)
        if request.user.has_perm(SEES_ACTIONS):
            context["actions"] = OperatorAction.objects.order_by("-id")[:ACTIONS_SHOWN]
        return super().index(request, {**context, **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        found = super().get_app_list(request, app_label)
        return found if app_label else by_task(found, self._registry)

    def find(self, request: HttpRequest) -> HttpResponse:
        """Lead to the page of what has the id, or say why there is none."""
        if not finding.may_search(request):
            raise PermissionDenied
        term = request.GET.get("q", "").strip()
        lead = finding.lead(request, term) if term else finding.Lead()
        if lead.url:
            return redirect(lead.url)
        title = "Find by id"
        context = {**self.each_context(request), "title": title, "term": term, "lead": lead}
        return render(request, "admin/messaging/find.html", context)

    def console(self, request: HttpRequest) -> HttpResponse:
        """The part of the start page that refreshes itself."""
        if not request.user.has_perm(SEES_THE_PATH):
            raise PermissionDenied
        context = {"site_title": self.site_title, **self._path()}
        return render(request, "admin/messaging/refreshed.html", context)

    def plots(self, request: HttpRequest) -> HttpResponse:
        """How things stood in the last hour, or whatever `span` names."""
        if not request.user.has_perm(SEES_THE_PATH):
            raise PermissionDenied
        drawn = plots.picture(span_of(request.GET.get("span")))
        context = {**self.each_context(request), "title": "Over time", "picture": drawn}
        return render(request, "admin/messaging/plots.html", context)

    def _path(self) -> dict[str, Any]:
        found = self._dashboard.current()
        return {
            "found": found,
            "verdict": verdict_on(found),
            "steps": shown.steps(found),
            "rows": shown.rows(found),
            "spans": SPANS,
        }
