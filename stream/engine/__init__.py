"""The engine: from blocks of records to results. It knows nothing of prices or posts.

May import: nothing of ours.
"""
