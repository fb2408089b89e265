from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class MessagingConfig(AppConfig):
    name = "messaging"

    def ready(self) -> None:
        from messaging import checks  # noqa: F401  registers the system checks

        # One place finds every handler, projection and event of the installed apps.
        autodiscover_modules("handlers", "projections", "queries")
