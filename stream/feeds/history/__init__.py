"""Trades that were missed, from each exchange's history: a file an exchange.

May import: schemas, stream.errors, stream.feeds.adapt, stream.feeds.define.
"""
