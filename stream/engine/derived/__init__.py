"""What follows final windows: recursions, rolling windows, rules and their signals.

May import: stream.errors, stream.configuration, stream.engine.core, stream.engine.define, stream.engine.recovery.
"""
