"""The metrics that we compute, one in each file.

May import: schemas, stream.engine.define.
"""
