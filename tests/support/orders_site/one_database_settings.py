"""The same project with one database for both sides, with people, and with the API.

ORDERS_POSTGRESQL names a PostgreSQL: host:port/name. Without it, SQLite.
"""

import os

from site_settings import DEFAULT_AUTO_FIELD, INSTALLED_APPS, SECRET_KEY, SQLITE

__all__ = ["DEFAULT_AUTO_FIELD", "SECRET_KEY"]

DATABASE_ROUTERS = []
POSTLOG = {"READ_DATABASE": "default"}
DATABASES = {"default": {**SQLITE, "NAME": "all.sqlite3"}}
if at := os.environ.get("ORDERS_POSTGRESQL"):
    host, _, port = at.partition("/")[0].partition(":")
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": host,
        "PORT": port,
        "NAME": at.partition("/")[2],
        "USER": "postgres",
    }
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    *INSTALLED_APPS,
]
ROOT_URLCONF = "one_database_urls"
ALLOWED_HOSTS = ["testserver"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
