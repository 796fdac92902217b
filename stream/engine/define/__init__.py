"""What the author of a metric imports: aggregates, sketches and recipes; and how recipes are found.

May import: schemas, stream.configuration, stream.engine.core, stream.errors, stream.extensions.
"""
