"""One module per exchange, which decodes its messages into trades and quotes.

May import: schemas, stream.feeds.define, stream.feeds.instruments.
"""
