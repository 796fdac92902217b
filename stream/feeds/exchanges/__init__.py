"""One module per exchange, which decodes its messages into trades and quotes.

May import: schemas, stream.feeds.adapt, stream.feeds.define.
"""
