"""One live connection's life: reconnects, queues, gaps in ids, recording.

May import: schemas, stream.errors, stream.feeds.define, stream.telemetry.
"""
