"""Settings: from the environment, a file and the command line; and how to connect to Kafka.

May import: stream.errors, stream.extensions.
"""
