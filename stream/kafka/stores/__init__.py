"""What the pipeline keeps on topics of its own: schedules, positions, snapshots, long commits.

May import: schemas, stream.configuration, stream.errors, stream.kafka.access, stream.kafka.clients.
"""
