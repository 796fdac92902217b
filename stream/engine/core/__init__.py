"""What every part of the engine is made of: blocks, tables, names, lanes, results, pace.

May import: schemas.
"""
