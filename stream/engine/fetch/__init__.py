"""Getting blocks from Kafka: the Faust transport, unpacking, and patches to aiokafka.

May import: schemas, stream.errors, stream.engine.core, stream.kafka.clients, stream.telemetry.
"""
