"""Live sources: connections, the buffer before Kafka, gaps in ids, recording.

May import: schemas, stream.errors, stream.feeds.define, stream.telemetry.
"""
