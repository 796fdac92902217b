"""The first stage: makes slices of one second from the records of an input partition.

May import: schemas, stream.bundles, stream.compiled, stream.configuration, stream.engine.core, stream.engine.define,
stream.engine.frames, stream.engine.tables, stream.kafka, stream.kafka.clients, stream.telemetry.
"""
