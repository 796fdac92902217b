"""What a chaos run sends, what must come of it, and the comparison with what Kafka holds.

May import: schemas, stream.bundles, stream.configuration, stream.errors, stream.kafka, stream.kafka.admin,
stream.kafka.clients.
"""
