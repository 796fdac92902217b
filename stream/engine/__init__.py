"""The engine turns blocks of records into results. Nothing in it is specific to prices or posts.

May import: nothing of ours.
"""
