"""A real broker started by Tickertape itself: for the demo, tests and chaos.

May import: stream.errors, stream.configuration, stream.kafka.access.
"""
