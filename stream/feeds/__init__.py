"""Input: live sources, recorded files and simulated markets, published as records of one schema.

May import: schemas, stream.errors, stream.engine.core.
"""
