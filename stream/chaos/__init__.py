"""Faults on purpose: a seeded schedule of blows, and a truth that every result is held to.

May import: schemas, stream.cluster, stream.configuration, stream.engine.define, stream.engine.worker, stream.errors,
stream.kafka, stream.kafka.admin, stream.kafka.clients, stream.kafka.embedded, stream.replay.
"""
