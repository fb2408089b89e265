from django.apps import AppConfig
from django.db.backends.signals import connection_created

from messaging.conf import require_apps


class EventstoreConfig(AppConfig):
    name = "messaging.eventstore"
    label = "messaging_eventstore"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from messaging.eventstore.testflush import lift_triggers_for_tests

        require_apps()

        connection_created.connect(lift_triggers_for_tests)
