"""Results to databases: ``tickertape export``. Each row is the newest record of its result, however often it is sent.

May import: stream.configuration, stream.engine.core, stream.engine.fetch, stream.errors, stream.export.define,
stream.kafka.access, stream.kafka.clients, stream.progress, stream.recent, stream.telemetry.
"""
