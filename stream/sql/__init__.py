"""Ask the newest results with SQL, read only and bounded in time and memory.

May import: stream.configuration, stream.engine.define, stream.engine.derived, stream.errors, stream.results.
"""
