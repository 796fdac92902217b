"""A simulated market, and what people say about it.

May import: schemas, stream.errors, stream.feeds.publish, stream.feeds.sources.
"""
