"""What the author of an alert channel imports: the channel, its messages, and HTTP with clear errors.

May import: schemas, stream.configuration.
"""
