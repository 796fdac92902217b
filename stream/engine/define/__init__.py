"""What the author of a metric imports (aggregates, sketches and recipes), and the discovery of recipes.

May import: schemas, stream.compiled, stream.configuration, stream.engine.core, stream.errors, stream.extensions.
"""
