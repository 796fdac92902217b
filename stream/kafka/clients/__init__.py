"""The clients that the pipeline uses: producer, consumer, and a reader of whole topics.

May import: stream.compiled, stream.configuration, stream.errors, stream.kafka.access.
"""
