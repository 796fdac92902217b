"""Order books, kept from the changes that a source sends: states, quotes, depth. No I/O.

May import: schemas, stream.errors, stream.feeds.define.
"""
