"""The bus on Apache Kafka by confluent-kafka, which is librdkafka: the same contract for less CPU.

docs/decisions/0039-a-second-kafka-client.md has the figures, and what differs between the clients.
"""
