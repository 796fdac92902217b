"""Inject faults by a seeded schedule, and compare every result with an oracle.

May import: schemas, stream.chaos.oracle, stream.cluster, stream.configuration, stream.engine.define,
stream.engine.worker, stream.errors, stream.kafka.admin, stream.kafka.clients, stream.kafka.embedded, stream.progress,
stream.replay.
"""
