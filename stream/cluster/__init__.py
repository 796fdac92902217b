"""Run workers: the supervisor, the worker process, and changes of the numbers of partitions and shards.

May import: schemas, stream.configuration, stream.engine.define, stream.engine.frames, stream.engine.worker,
stream.errors, stream.kafka.access, stream.kafka.admin, stream.kafka.clients, stream.kafka.stores, stream.progress,
stream.telemetry.
"""
