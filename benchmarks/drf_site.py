"""What somebody writes by hand with Django REST framework: tokens by knox, a ModelSerializer.

It inserts the row and reads the post that Postlog does, with the same server, databases and people,
and the middlewares that `startproject` writes.
"""

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config.env import database_of

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "rest_framework",
        "knox",
        "accounts",
        "messaging",
        "queries_app",
    ],
    AUTH_USER_MODEL="accounts.User",
    SECRET_KEY="drf-site" * 10,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": database_of(os.environ["WRITE_DATABASE_URL"]),
        "read": database_of(os.environ["READ_DATABASE_URL"]),
    },
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["knox.auth.TokenAuthentication"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TIME_ZONE="UTC",
    USE_TZ=True,
)
django.setup()

from django.db import models  # noqa: E402  once Django is set up
from django.urls import path  # noqa: E402
from rest_framework import generics, permissions, serializers  # noqa: E402

from queries_app.models import Post  # noqa: E402


class Liked(models.Model):  # noqa: DJ008  nobody prints one
    """A row of the same table as the minimal view's."""

    stream = models.UUIDField()
    version = models.IntegerField(default=1)
    data = models.TextField(default="liked")

    class Meta:
        app_label = "queries_app"
        managed = False
        db_table = "bare"


class LikeSerializer(serializers.ModelSerializer[Liked]):
    post_id = serializers.UUIDField(source="stream")

    class Meta:
        model = Liked
        fields = ("post_id", "version")
        read_only_fields = ("version",)


class PostSerializer(serializers.ModelSerializer[Post]):
    class Meta:
        model = Post
        fields = (
            "stream_id", "author", "message", "posted_at", "edited_at", "likes", "comments_count",
            "version",
        )  # fmt: skip


class LikePost(generics.CreateAPIView[Liked]):
    permission_classes = [permissions.IsAuthenticated]
    serializer_class = LikeSerializer


class FindPost(generics.RetrieveAPIView[Post]):
    permission_classes = [permissions.AllowAny]
    serializer_class = PostSerializer
    queryset = Post.objects.using("read").filter(generation=1, visible=True)
    lookup_field = "stream_id"


urlpatterns = [
    path("like/", LikePost.as_view()),
    path("posts/<uuid:stream_id>/", FindPost.as_view()),
]
application = get_wsgi_application()
