"""What a person sees in a terminal: records as they come, a live table, the demo.

May import: schemas, stream.cluster, stream.configuration, stream.engine.define, stream.engine.derived, stream.errors,
stream.kafka, stream.kafka.admin, stream.kafka.clients, stream.kafka.embedded.
"""
