"""All URLs."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from accounts.api import TokenView
from messaging import health
from messaging.api.routes import routes
from messaging.api.views import NotFoundView

api = [
    *routes(),
    path("auth/token/", TokenView.as_view(), name="token"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(), name="docs"),
]

urlpatterns = [
    path("", include("config.pages")),
    path("api/v1/", include(api)),
    re_path("^api/(?P<rest>.*)", NotFoundView.as_view()),  # with DEBUG too
    path("accounts/", include("accounts.urls")),
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready),
]

handler400 = "messaging.api.errors.bad_request"
handler403 = "messaging.api.errors.permission_denied"
handler404 = "messaging.api.errors.not_found"
handler500 = "messaging.api.errors.server_error"
