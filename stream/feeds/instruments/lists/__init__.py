"""One module per exchange, which decodes its list of instruments.

May import: schemas, stream.errors.
"""
