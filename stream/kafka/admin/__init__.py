"""Topics and consumer groups: created, described, compared with the catalogue.

May import: schemas, stream.configuration, stream.errors, stream.kafka.access.
"""
