"""Publishing events to topics: partitions, heartbeats, back-pressure, positions to resume from.

May import: schemas, stream.bundles, stream.configuration, stream.errors, stream.feeds, stream.feeds.define,
stream.feeds.live, stream.feeds.refill, stream.kafka, stream.kafka.clients,
stream.kafka.stores, stream.progress, stream.telemetry.
"""
