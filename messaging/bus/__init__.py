"""The bus that the settings choose: Kafka, or the embedded log when no broker is named."""

from messaging import conf
from messaging.bus.base import Bus

_buses: dict[tuple[str, str, str, int, int], Bus] = {}


def current_bus() -> Bus:
    """One bus for the same settings, so that its connection is used again."""
    settings = conf.postlog().kafka
    key = (
        settings.client, settings.bootstrap_servers, settings.topic, settings.partitions,
        settings.replication,
    )  # fmt: skip
    if key not in _buses:
        _buses[key] = _make(settings)
    return _buses[key]


def _make(settings: conf.KafkaSettings) -> Bus:
    if settings.bootstrap_servers:
        from messaging.bus.kafka import kafka_bus

        return kafka_bus(settings)
    from messaging.bus.embedded import EmbeddedBus

    return EmbeddedBus(settings.topic, settings.partitions)
