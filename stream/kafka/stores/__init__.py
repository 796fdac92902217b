"""The data that the pipeline stores on its own topics: schedules, positions, snapshots, and long checkpoints.

May import: schemas, stream.configuration, stream.errors, stream.kafka.access, stream.kafka.clients.
"""
