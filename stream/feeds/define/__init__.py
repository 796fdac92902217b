"""What the author of a feed imports: a source, a feed, a format; and how they are found.

May import: schemas, stream.configuration, stream.errors, stream.extensions.
"""
