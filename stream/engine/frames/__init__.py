"""Frames of slices, which pass between the two stages: packing, checking, unpacking and resharding.

May import: schemas, stream.engine.core, stream.engine.define, stream.kafka.
"""
