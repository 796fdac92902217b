"""One module per exchange, which decodes its messages into trades and quotes.

May import: schemas, stream.errors, stream.feeds.define.
"""
