"""The command `tickertape`, and its subcommands that belong to no other room.

May import: schemas, stream.chaos, stream.cluster, stream.compiled, stream.configuration, stream.terminal,
stream.engine.define, stream.engine.derived, stream.errors, stream.extensions, stream.feeds, stream.feeds.define,
stream.kafka, stream.kafka.access, stream.kafka.admin, stream.replay.
"""
