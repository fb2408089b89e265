"""The least that Django can do: a view that inserts one row, and a view that reads one.

The same server, database and JSON as Postlog; no middleware, no authentication.
"""

import json
import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path

from config.env import database_of

FEED = """<!doctype html><html lang="en"><head><title>Feed</title></head><body>
{% for post in posts %}<article id="post-{{ post.stream_id }}"><p>
<a href="/people/{{ post.author }}/">{{ post.author }}</a>
<time datetime="{{ post.posted_at|date:'c' }}">{{ post.posted_at }}</time></p>
<p>{{ post.message }}</p><p>{{ post.likes }} likes, {{ post.comments_count }} comments</p></article>
{% endfor %}</body></html>"""

settings.configure(
    INSTALLED_APPS=["messaging", "queries_app"],
    SECRET_KEY="bare" * 20,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": database_of(os.environ["WRITE_DATABASE_URL"]),
        "read": database_of(os.environ["READ_DATABASE_URL"]),
    },
    MIDDLEWARE=[],
    USE_TZ=True,
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"feed": FEED})]},
        }
    ],
)
django.setup()


def insert(request: HttpRequest) -> HttpResponse:
    body = json.loads(request.body)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bare (stream, version, data) VALUES (%s, 1, 'liked')", [body["post_id"]]
        )
    return JsonResponse({"post_id": body["post_id"], "version": 1})


def read(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT stream, version, data FROM bare WHERE id = 1")
        stream, version, data = cursor.fetchone()
    return JsonResponse({"post_id": stream, "version": version, "message": data})


def feed(request: HttpRequest) -> HttpResponse:
    from queries_app.models import Post

    posts = Post.objects.using("read").filter(visible=True).order_by("-posted_at", "-stream_id")
    return render(request, "feed", {"posts": posts[:20]})


urlpatterns = [path("insert", insert), path("read", read), path("feed", feed)]
application = get_wsgi_application()
