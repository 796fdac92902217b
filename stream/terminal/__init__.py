"""Show records and the demo in a terminal.

May import: schemas, stream.bundles, stream.cluster, stream.configuration, stream.console, stream.engine.define,
stream.engine.derived, stream.errors, stream.kafka, stream.kafka.admin, stream.kafka.clients, stream.kafka.embedded,
stream.top, stream.watch.
"""
