"""Running workers: the supervisor, a worker process, and changing how many partitions there are.

May import: schemas, stream.configuration, stream.engine.define, stream.engine.frames, stream.engine.worker,
stream.errors, stream.kafka.access, stream.kafka.admin, stream.kafka.clients, stream.kafka.stores, stream.telemetry.
"""
