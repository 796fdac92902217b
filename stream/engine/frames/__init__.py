"""What passes between the stages: frames of slices, packed, checked, unpacked and resharded.

May import: schemas, stream.engine.core, stream.engine.define, stream.kafka, stream.telemetry.
"""
