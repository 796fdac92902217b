"""Fetches blocks from Kafka: the Faust transport, unpacking, and patches to aiokafka.

May import: schemas, stream.bundles, stream.compiled, stream.engine.core, stream.errors, stream.kafka.clients,
stream.telemetry.
"""
