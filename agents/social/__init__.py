"""Metrics of posts on social networks.

May import: schemas, stream.configuration, stream.engine.core, stream.engine.define.
"""
