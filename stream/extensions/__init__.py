"""What others add: modules of packages, folders and installed distributions, loaded without an edit of ours.

May import: stream.errors.
"""
