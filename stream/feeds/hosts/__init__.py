"""What the feeds of a machine may ask of a host, together: budgets, and requests within them.

May import: stream.errors.
"""
