from typing import Any

from django.conf import settings
from django.contrib.admin import apps as admin_apps
from django.core.exceptions import ImproperlyConfigured

DJANGOS = "django.contrib.admin"


class ConsoleConfig(admin_apps.AdminConfig):
    """Django's admin; takes its place in INSTALLED_APPS."""

    default_site = "messaging.console.site.ConsoleSite"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for line in settings.INSTALLED_APPS:
            if f"{line}.".startswith(f"{DJANGOS}."):
                raise ImproperlyConfigured(
                    f"INSTALLED_APPS names 'messaging.console' and {line!r}. The console is "
                    f"Django's admin, with pages of its own: take the line {line!r} out."
                )

    def ready(self) -> None:
        from messaging.console import checks  # noqa: F401  registers the system check

        super().ready()
