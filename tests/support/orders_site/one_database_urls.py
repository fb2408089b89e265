from django.urls import include, path

from messaging.api.routes import routes

urlpatterns = [path("api/", include(routes()))]
