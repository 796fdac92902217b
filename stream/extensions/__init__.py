"""Extensions: load the modules of packages, folders and installed distributions that add metrics, feeds and formats.

May import: stream.errors.
"""
