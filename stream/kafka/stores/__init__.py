"""What the pipeline keeps on topics of its own: schedules, positions, snapshots, long commits.

May import: schemas, stream.errors, stream.configuration, stream.kafka.access, stream.kafka.clients.
"""
