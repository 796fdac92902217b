"""Shared parts of the engine: blocks, tables, names, lanes, results and pacing.

May import: schemas, stream.bundles, stream.compiled, stream.kafka.
"""
