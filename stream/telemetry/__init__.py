"""What a process tells about itself: logs, metrics and the page that serves them.

May import: stream.configuration, stream.errors.
"""
