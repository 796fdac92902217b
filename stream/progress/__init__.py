"""Progress of long work: a bar in a terminal, lines in a pipe, or JSON.

May import: nothing of ours.
"""
