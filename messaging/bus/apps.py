from django.apps import AppConfig


class BusConfig(AppConfig):
    name = "messaging.bus"
    label = "messaging_bus"
