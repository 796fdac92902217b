"""The data that processes exchange: the records of every topic, and the contents of commits and snapshots. No logic.

May import: nothing of ours.
"""
