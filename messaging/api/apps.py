from django.apps import AppConfig

from messaging.installed import require_app


class ApiConfig(AppConfig):
    """Not needed, as 'messaging' brings all of the API. Who names it may have an app `api` too."""

    name = "messaging.api"
    label = "messaging_api"

    def ready(self) -> None:
        require_app()
