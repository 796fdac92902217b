"""Instruments and the names of symbols: each source's own list, kept for a day, and one rule that names them all.

May import: schemas, stream.errors, stream.feeds.define, stream.feeds.hosts, stream.feeds.instruments.lists.
"""
