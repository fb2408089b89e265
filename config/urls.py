"""All URLs."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts.api import TokenView
from messaging.api.asyncapi import asyncapi, event_schema
from messaging.api.docs import SchemaView, SwaggerView
from messaging.api.routes import routes
from messaging.api.views import NotFoundView

api = [
    *routes(),
    path("auth/token/", TokenView.as_view(), name="token"),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", SwaggerView.as_view(), name="docs"),
    path("redoc/", RedirectView.as_view(pattern_name="docs")),
    path("events/", asyncapi, name="events"),
    path("events/<str:name>/", event_schema, name="event"),
]


def favicon(request: HttpRequest) -> HttpResponse:
    """For pages that name no icon of their own."""
    return redirect(static("postlog.svg"), permanent=True)


urlpatterns = [
    path("", include("config.pages")),
    path("api/v1/", include(api)),
    re_path("^api/(?P<rest>.*)", NotFoundView.as_view()),  # with DEBUG too
    path("accounts/", include("accounts.urls")),
    # The admin's own asks no limits before it looks at a password.
    path("admin/password_change/", RedirectView.as_view(pattern_name="change-password")),
    path("admin/", admin.site.urls),
    path("favicon.ico", favicon),
    # messaging.monitoring.health.probes: /health/live and /health/ready before the middleware
]

handler400 = "web.errors.bad_request"
handler403 = "web.errors.permission_denied"
handler404 = "web.errors.not_found"
handler500 = "web.errors.server_error"
