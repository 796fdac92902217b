"""What is computed: one metric a file.

May import: schemas, stream.engine.define.
"""
