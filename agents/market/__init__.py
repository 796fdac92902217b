"""Metrics of trades and of quotes.

May import: schemas, stream.engine.core, stream.engine.define.
"""
