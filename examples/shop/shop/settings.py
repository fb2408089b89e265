"""One database for everything: SQLite, or the PostgreSQL that SHOP_POSTGRESQL names, as
user@host:port/name. The log is a table of it, or, of the Kafka at SHOP_KAFKA, the topic SHOP_TOPIC.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("SECRET_KEY", "for development only: an example has no secrets")
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
ROOT_URLCONF = "shop.urls"
STATIC_URL = "static/"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "people.User"
LOGIN_URL = "rest_framework:login"

INSTALLED_APPS = [
    "messaging.console",  # in the place of django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "messaging",
    "people",
    "orders",
    "stock",
    "reports",
]
MIDDLEWARE = [
    "messaging.monitoring.health.probes",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

if os.environ.get("SHOP_POSTGRESQL"):
    server = urlsplit(f"postgresql://{os.environ['SHOP_POSTGRESQL']}")
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": server.hostname,
            "PORT": server.port or "",
            "NAME": server.path.strip("/"),
            "USER": server.username or "postgres",
            "PASSWORD": server.password or "",
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": BASE_DIR / "shop.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL",
            },
            "TEST": {"NAME": BASE_DIR / "test.sqlite3"},  # in memory, writers find it locked
        }
    }

POSTLOG = {
    "READ_DATABASE": "default",
    "ACTORS": "people.actors.AccountActors",
    "KAFKA": {
        "bootstrap_servers": os.environ.get("SHOP_KAFKA", ""),
        "topic": os.environ.get("SHOP_TOPIC", "shop.events"),
    },
}
