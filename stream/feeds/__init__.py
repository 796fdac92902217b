"""Input: live sources, recorded files and simulated markets, published as records of one schema.

May import: schemas, stream.engine.core, stream.errors.
"""
