"""How the next owner of a shard resumes: what a snapshot holds, and when it is made and loaded.

May import: schemas, stream.engine.core, stream.engine.define, stream.engine.frames, stream.telemetry.
"""
