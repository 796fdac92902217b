"""Recorded files of any format and compression, read as events in order.

May import: schemas, stream.configuration, stream.errors, stream.feeds, stream.feeds.adapt, stream.feeds.define,
stream.feeds.instruments.
"""
