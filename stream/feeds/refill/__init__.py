"""Gaps in a source's trades: later trades are held back until the missing ones are fetched or given up.

May import: schemas, stream.errors, stream.feeds.define, stream.telemetry.
"""
