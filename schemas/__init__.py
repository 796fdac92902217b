"""What travels between processes: the records of every topic, and what commits and snapshots hold. No logic.

May import: nothing of ours.
"""
