"""Getting in: security settings for each client, and errors that say what is missing.

May import: stream.configuration, stream.errors.
"""
