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
from django.urls import path

from config.env import database_of

settings.configure(
    SECRET_KEY="bare" * 20,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": database_of(os.environ["WRITE_DATABASE_URL"])},
    MIDDLEWARE=[],
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


urlpatterns = [path("insert", insert), path("read", read)]
application = get_wsgi_application()
