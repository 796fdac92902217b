"""Shared parts of the engine: blocks, tables, names, lanes, results and pacing.

May import: schemas, stream.compiled, stream.kafka.
"""
