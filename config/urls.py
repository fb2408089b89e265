"""All URLs."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, re_path
from django.views.generic import RedirectView
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

sign_in = [  # under the name that DRF's browsable pages link to
    path("login/", LoginView.as_view(template_name="rest_framework/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="api-root")),
    path("api/v1/", include(api)),
    re_path("^api/(?P<rest>.*)", NotFoundView.as_view()),  # with DEBUG too
    path("accounts/", include((sign_in, "rest_framework"))),
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready),
]

handler400 = "messaging.api.errors.bad_request"
handler403 = "messaging.api.errors.permission_denied"
handler404 = "messaging.api.errors.not_found"
handler500 = "messaging.api.errors.server_error"
