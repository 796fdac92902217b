"""Replay files or a topic without workers, in parallel processes, and verify the published results.

May import: schemas, stream.configuration, stream.engine.core, stream.engine.define, stream.engine.derived,
stream.engine.fetch, stream.engine.slices, stream.engine.windows, stream.engine.worker,
stream.errors, stream.feeds, stream.feeds.define, stream.feeds.files, stream.feeds.publish,
stream.kafka, stream.kafka.access, stream.kafka.admin, stream.kafka.clients, stream.progress,
stream.results.
"""
