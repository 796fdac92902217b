"""One module per exchange, which decodes its messages into trades and quotes.

May import: schemas, stream.configuration, stream.errors, stream.feeds.adapt, stream.feeds.books, stream.feeds.define,
stream.feeds.figures, stream.feeds.history, stream.feeds.hosts, stream.feeds.instruments, stream.feeds.snapshots.
"""
