"""One module for each kind of database.

May import: stream.configuration, stream.errors, stream.export.define.
"""
