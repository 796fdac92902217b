"""What the author of a feed imports (source, feed, format), and the registry that finds them.

May import: schemas, stream.configuration, stream.errors, stream.extensions, stream.feeds.hosts.
"""
