from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.utils.module_loading import autodiscover_modules

from messaging.conf import require_apps


class ConsoleConfig(admin_apps.AdminConfig):
    """Django's admin; takes its place in INSTALLED_APPS."""

    default = False
    default_site = "messaging.console.site.ConsoleSite"


class MessagingConfig(AppConfig):
    name = "messaging"
    default_auto_field = "django.db.models.BigAutoField"
    default = True

    def ready(self) -> None:
        from messaging import checks  # noqa: F401  registers the system checks

        require_apps()

        # One place finds every handler, projection and event of the installed apps.
        autodiscover_modules("handlers", "projections", "queries")
