"""The operator's console in Django's admin. Django imports this package."""

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

if not apps.apps_ready:
    raise ImproperlyConfigured(
        "'messaging.admin' does not belong in INSTALLED_APPS: its pages come with 'messaging'. "
        "Take it out; the console is 'messaging.console', in place of 'django.contrib.admin'."
    )

from messaging.admin import deadletters, readside, rebuilds, store

__all__ = ["deadletters", "readside", "rebuilds", "store"]
