"""Access to Kafka: the security options of each client library, and errors that name what is wrong.

May import: stream.configuration, stream.errors.
"""
