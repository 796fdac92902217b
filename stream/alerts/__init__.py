"""Signals to channels: ``tickertape alerts``. Each is sent once, and an outbox on a topic remembers it.

May import: schemas, stream.alerts.define, stream.configuration, stream.errors, stream.kafka,
stream.kafka.access, stream.kafka.clients, stream.results, stream.telemetry.
"""
