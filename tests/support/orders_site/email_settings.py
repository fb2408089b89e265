"""The same project with people who are named by their e-mail addresses (library_site/people), and
with a job that is no person."""

from one_database_settings import (
    ALLOWED_HOSTS,
    DATABASE_ROUTERS,
    DATABASES,
    DEFAULT_AUTO_FIELD,
    MIDDLEWARE,
    ROOT_URLCONF,
    SECRET_KEY,
)
from one_database_settings import INSTALLED_APPS as APPS

__all__ = [
    "ALLOWED_HOSTS",
    "DATABASES",
    "DATABASE_ROUTERS",
    "DEFAULT_AUTO_FIELD",
    "MIDDLEWARE",
    "ROOT_URLCONF",
    "SECRET_KEY",
]

AUTH_USER_MODEL = "people.User"
INSTALLED_APPS = [*APPS, "people"]
POSTLOG = {
    "READ_DATABASE": "default",
    "ACTORS": "accounts.actors.AccountActors",
    "MACHINE_ACTORS": ["nightly"],
}
