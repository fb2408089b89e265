from django.apps import AppConfig
from django.db.backends.signals import connection_created


class EventstoreConfig(AppConfig):
    name = "messaging.eventstore"
    label = "messaging_eventstore"

    def ready(self) -> None:
        from messaging.eventstore.testflush import lift_triggers_for_tests

        connection_created.connect(lift_triggers_for_tests)
