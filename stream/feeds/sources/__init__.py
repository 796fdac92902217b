"""One source a file: its messages become trades, quotes and posts.

May import: schemas, stream.errors, stream.feeds.define.
"""
