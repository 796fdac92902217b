"""Settings, read from the environment, a file and the command line. Some of them say how to connect to Kafka.

May import: stream.compiled, stream.errors, stream.extensions.
"""
