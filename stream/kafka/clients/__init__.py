"""Producer, consumer and reader, as the rest of the pipeline uses them.

May import: stream.configuration, stream.errors, stream.kafka.access.
"""
