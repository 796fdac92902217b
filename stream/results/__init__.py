"""Read results: a client that yields only newer ones, and tables of a topic's newest results.

May import: stream.configuration, stream.engine.core, stream.engine.define, stream.engine.derived, stream.errors,
stream.feeds.define, stream.kafka.clients.
"""
