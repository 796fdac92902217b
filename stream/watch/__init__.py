"""The state of a running pipeline, as Kafka and the metrics of its workers tell it.

May import: schemas, stream.configuration, stream.kafka.admin.
"""
