"""The second stage: merges slices of all partitions into windows, first provisional and then final.

May import: schemas, stream.configuration, stream.engine.core, stream.engine.define, stream.engine.derived,
stream.engine.finality, stream.engine.frames, stream.engine.recovery, stream.engine.tables,
stream.kafka.clients, stream.telemetry.
"""
