"""Recorded files of any format and compression, read as events in order.

May import: schemas, stream.errors, stream.configuration, stream.feeds, stream.feeds.sources.
"""
