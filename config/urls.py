"""All URLs."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts.api import TokenView
from accounts.web import SignOut
from config import codes  # noqa: F401  explains the site's own error codes
from messaging.api.asyncapi import asyncapi, event_schema
from messaging.api.docs import SchemaView, SwaggerView
from messaging.api.routes import routes
from messaging.api.views import NotFoundView
from queries_app import atom
from queries_app.sitemap import sitemap
from web import site

api = [
    *routes(),
    path("auth/token/", TokenView.as_view(), name="token"),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", SwaggerView.as_view(), name="docs"),
    path("redoc/", RedirectView.as_view(pattern_name="docs")),
    path("events/", asyncapi, name="events"),
    path("events/<str:name>/", event_schema, name="event"),
]


urlpatterns = [
    path("", include("config.pages")),
    path("api/v1/", include(api)),
    re_path("^api/(?P<rest>.*)", NotFoundView.as_view()),  # with DEBUG too
    path("accounts/", include("accounts.urls")),
    # The admin's own asks no limits before it looks at a password.
    path("admin/logout/", SignOut.as_view()),  # which forgets drafts too
    path("admin/password_change/", RedirectView.as_view(pattern_name="change-password")),
    path("admin/", admin.site.urls),
    path("favicon.ico", site.favicon),
    path("site.webmanifest", site.manifest, name="manifest"),
    path("robots.txt", site.robots),
    path("sitemap.xml", sitemap),
    path("newest.atom", atom.newest, name="newest-atom"),
    path("people/<str:username>/posts.atom", atom.of_person, name="atom"),
    # messaging.monitoring.health.probes: /health/live and /health/ready before the middleware
]

handler400 = "web.errors.bad_request"
handler403 = "web.errors.permission_denied"
handler404 = "web.errors.not_found"
handler500 = "web.errors.server_error"
