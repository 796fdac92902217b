"""The templates of the files that `tickertape new` writes.

May import: nothing of ours.
"""
