"""Live sources: connections, subscriptions, silence, the buffer before Kafka, gaps in ids, recording.

May import: schemas, stream.errors, stream.feeds.books, stream.feeds.define, stream.feeds.hosts,
stream.feeds.refill, stream.telemetry.
"""
