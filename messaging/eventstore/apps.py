from django.apps import AppConfig


class EventstoreConfig(AppConfig):
    name = "messaging.eventstore"
    label = "eventstore"
