from django.apps import AppConfig

from messaging.conf import require_apps


class BusConfig(AppConfig):
    name = "messaging.bus"
    label = "messaging_bus"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        require_apps()
