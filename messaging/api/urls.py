"""The addresses of the API: `path("api/", include("messaging.api.urls"))`."""

from messaging.api.routes import routes

urlpatterns = routes()
