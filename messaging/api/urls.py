"""The addresses of the API: `path("api/", include("messaging.api.urls"))`."""

from django.urls import URLPattern

from messaging.installed import require_packages


def _routes() -> list[URLPattern]:
    require_packages()
    from messaging.api.routes import routes

    return routes()


urlpatterns = _routes()
