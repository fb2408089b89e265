"""The bus that the settings choose: Kafka, or the embedded log when no broker is named."""

from messaging import conf
from messaging.bus.base import Bus


def current_bus() -> Bus:
    settings = conf.kafka()
    if settings.bootstrap_servers:
        from messaging.bus.kafka import KafkaBus

        return KafkaBus(settings)
    from messaging.bus.embedded import EmbeddedBus

    return EmbeddedBus(settings.topic, settings.partitions)
