"""Figures of perpetuals that an exchange doesn't stream, requested from it: a file an exchange.

May import: schemas, stream.feeds.adapt, stream.feeds.define.
"""
