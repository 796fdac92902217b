"""A real broker started by Tickertape itself: for the demo, tests and chaos.

May import: stream.configuration, stream.errors, stream.kafka.access.
"""
