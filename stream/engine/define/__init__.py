"""What the author of a metric imports: aggregates, sketches and recipes; and how recipes are found.

May import: schemas, stream.errors, stream.configuration, stream.engine.core.
"""
