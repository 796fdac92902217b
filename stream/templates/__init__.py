"""What `tickertape new` writes.

May import: nothing of ours.
"""
