"""One module per social network, which decodes its messages into posts.

May import: schemas, stream.feeds.define.
"""
