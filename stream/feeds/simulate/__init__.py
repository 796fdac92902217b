"""A simulated market, and simulated posts about it.

May import: schemas, stream.errors, stream.feeds.networks, stream.feeds.publish.
"""
