from django.apps import AppConfig

from messaging.conf import require_apps


class ProjectionsConfig(AppConfig):
    name = "messaging.projections"
    label = "messaging_projections"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        require_apps()
