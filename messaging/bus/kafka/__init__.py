"""The bus on Apache Kafka. The only package that knows its clients; it loads the chosen one."""

from importlib import import_module

from django.core.exceptions import ImproperlyConfigured

from messaging.bus.kafka.bus import KafkaBus
from messaging.conf import KafkaSettings

CLIENTS = {  # to its module and class, and the extra that brings it
    "kafka-python": ("messaging.bus.kafka.client", "KafkaPythonBus", "kafka"),
    "confluent": ("messaging.bus.kafka.confluent.client", "ConfluentBus", "confluent"),
}


def kafka_bus(settings: KafkaSettings) -> KafkaBus:
    """By the client that the settings choose. Raises `ImproperlyConfigured` if it is missing."""
    module, name, extra = CLIENTS[settings.client]
    try:
        found: KafkaBus = getattr(import_module(module), name)(settings)
    except ModuleNotFoundError as error:
        raise ImproperlyConfigured(
            f'POSTLOG["KAFKA"]["client"] is {settings.client!r}, which is not installed ({error}). '
            f'Run pip install "postlog[{extra}]".'
        ) from error
    return found
