"""The same project with Django's admin, and the console in its place."""

from site_settings import (
    DATABASE_ROUTERS,
    DATABASES,
    DEFAULT_AUTO_FIELD,
    INSTALLED_APPS,
    SECRET_KEY,
)

__all__ = ["DATABASES", "DATABASE_ROUTERS", "DEFAULT_AUTO_FIELD", "SECRET_KEY"]

INSTALLED_APPS = [
    "messaging.console",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *INSTALLED_APPS,
]
STATIC_URL = "static/"
ROOT_URLCONF = "console_urls"
LOGIN_URL = "login"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
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
