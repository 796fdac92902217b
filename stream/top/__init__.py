"""The terminal view of a running pipeline, `tickertape top`, which the demo's table is too.

May import: stream.errors, stream.watch.
"""
