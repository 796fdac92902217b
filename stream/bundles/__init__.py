"""Bundles of events: what feeds pack as columns into one record, and what readers unpack from it.

May import: schemas.
"""
