"""The first stage: records of one input partition become slices of one second.

May import: schemas, stream.configuration, stream.engine.core, stream.engine.define, stream.engine.frames,
stream.kafka, stream.kafka.clients, stream.telemetry.
"""
