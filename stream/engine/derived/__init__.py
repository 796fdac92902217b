"""Derived results, made from final windows: recursions, sliding windows and signals.

May import: schemas, stream.compiled, stream.configuration, stream.engine.core, stream.engine.define,
stream.engine.finality, stream.engine.frames, stream.engine.recovery, stream.errors.
"""
