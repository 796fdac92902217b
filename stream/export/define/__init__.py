"""What the author of a kind of database imports: the database, its writer, its tables, and HTTP with clear errors.

May import: stream.configuration, stream.errors.
"""
