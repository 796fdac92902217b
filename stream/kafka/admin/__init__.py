"""Administration of topics and consumer groups: create and describe them, and compare topics with the catalogue.

May import: schemas, stream.configuration, stream.errors, stream.kafka.access.
"""
