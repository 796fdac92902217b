"""Past trades of a source, sent before its live ones: from daily files, from its history, or from files at hand.

May import: schemas, stream.bundles, stream.configuration, stream.errors, stream.feeds, stream.feeds.define,
stream.feeds.files, stream.feeds.hosts, stream.feeds.publish, stream.feeds.refill, stream.kafka.admin,
stream.kafka.clients, stream.kafka.stores.
"""
