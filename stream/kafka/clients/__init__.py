"""Producer, consumer and reader, as the rest of the pipeline uses them.

May import: stream.errors, stream.configuration, stream.kafka.access.
"""
