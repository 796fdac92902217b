"""One module for each kind of channel.

May import: schemas, stream.alerts.define, stream.configuration.
"""
