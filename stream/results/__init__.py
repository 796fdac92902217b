"""Reading results: a client that is never taken back, and tables of what a topic holds.

May import: stream.configuration, stream.engine.core, stream.engine.define, stream.engine.derived, stream.errors,
stream.feeds.define, stream.kafka.clients.
"""
