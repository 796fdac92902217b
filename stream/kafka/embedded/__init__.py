"""A real Kafka broker that Tickertape starts itself, for the demo, tests and chaos.

May import: stream.configuration, stream.errors, stream.kafka.access.
"""
