"""The tables of open windows and of slices that wait for them, functions on their rows, and the rows in a snapshot.

May import: schemas, stream.compiled, stream.engine.core, stream.engine.define, stream.engine.frames,
stream.engine.recovery.
"""
