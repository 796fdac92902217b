"""The newest results of every sink, in memory: read in blocks, bounded in bytes, and told to whoever follows them.

May import: stream.configuration, stream.engine.core, stream.engine.define, stream.engine.derived, stream.engine.fetch,
stream.errors, stream.kafka.access, stream.kafka.clients, stream.results.
"""
