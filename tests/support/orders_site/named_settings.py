"""The same project with other names for its two databases, and with two databases beside them."""

from site_settings import DEFAULT_AUTO_FIELD, INSTALLED_APPS, SECRET_KEY, SQLITE

__all__ = ["DEFAULT_AUTO_FIELD", "SECRET_KEY"]

INSTALLED_APPS = ["django.contrib.contenttypes", *INSTALLED_APPS]
DATABASES = {
    alias: {**SQLITE, "NAME": f"{alias}.sqlite3"}
    for alias in ("default", "events", "reports", "legacy")
}
DATABASE_ROUTERS = ["messaging.router.SplitRouter"]
POSTLOG = {"WRITE_DATABASE": "events", "READ_DATABASE": "reports"}
