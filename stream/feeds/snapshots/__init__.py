"""Snapshots of order books, requested from each exchange that doesn't stream them: a file an exchange.

May import: schemas, stream.errors, stream.feeds.adapt, stream.feeds.define.
"""
