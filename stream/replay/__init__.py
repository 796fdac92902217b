"""The same log again without workers: files or a topic folded in parallel processes, and verified.

May import: schemas, stream.configuration, stream.engine.core, stream.engine.define, stream.engine.derived,
stream.engine.fetch, stream.engine.frames, stream.engine.slices, stream.engine.windows, stream.errors, stream.feeds,
stream.feeds.define, stream.feeds.files, stream.feeds.publish, stream.feeds.sources, stream.kafka,
stream.kafka.access, stream.kafka.admin, stream.kafka.clients, stream.results, stream.telemetry.
"""
