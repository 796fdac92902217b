"""Metrics of trades and quotes.

May import: schemas, stream.engine.core, stream.engine.define.
"""
