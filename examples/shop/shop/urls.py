from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("messaging.api.urls")),
    path("login/", include("rest_framework.urls")),
]
