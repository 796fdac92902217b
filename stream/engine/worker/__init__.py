"""Runs both stages on Kafka in one process, and commits their checkpoints together.

May import: schemas, stream.configuration, stream.engine.core, stream.engine.define, stream.engine.derived,
stream.engine.fetch, stream.engine.recovery, stream.engine.slices, stream.engine.windows, stream.errors,
stream.kafka.access, stream.kafka.clients, stream.kafka.stores, stream.telemetry.
"""
