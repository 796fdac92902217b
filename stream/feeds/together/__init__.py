"""Many feeds in one process: their file, what keeps each running, what is shown of them; and a check of what they get.

May import: schemas, stream.configuration, stream.errors, stream.feeds, stream.feeds.define, stream.feeds.live,
stream.feeds.publish, stream.kafka.clients, stream.kafka.stores, stream.progress,
stream.telemetry.
"""
