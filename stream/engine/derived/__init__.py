"""What follows final windows: recursions, rolling windows, rules and their signals.

May import: stream.configuration, stream.engine.core, stream.engine.define, stream.engine.frames,
stream.engine.recovery, stream.errors.
"""
