"""The bus on Apache Kafka. The only package that knows the client, kafka-python."""

from messaging.bus.kafka.client import KafkaBus

__all__ = ["KafkaBus"]
