"""One module per source, which decodes its messages into trades, quotes and posts.

May import: schemas, stream.errors, stream.feeds.define.
"""
