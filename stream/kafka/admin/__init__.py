"""Topics and consumer groups: created, described, compared with the catalogue.

May import: schemas, stream.errors, stream.configuration, stream.kafka.access.
"""
