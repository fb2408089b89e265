from django.contrib.admin import apps as admin_apps


class ConsoleConfig(admin_apps.AdminConfig):
    """Django's admin; takes its place in INSTALLED_APPS."""

    default_site = "messaging.console.site.ConsoleSite"

    def ready(self) -> None:
        from messaging.console import checks  # noqa: F401  registers the system check

        super().ready()
