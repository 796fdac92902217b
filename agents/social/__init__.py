"""Metrics of posts.

May import: schemas, stream.configuration, stream.engine.core, stream.engine.define.
"""
