"""What adapters of exchanges share: channels and connections, requests for streams, and fields of messages.

May import: schemas, stream.errors, stream.feeds.define.
"""
