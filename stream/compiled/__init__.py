"""The compiled hot path: C that splits record batches and scans JSON to columns, its build, and its face to Python.

May import: nothing of ours.
"""
