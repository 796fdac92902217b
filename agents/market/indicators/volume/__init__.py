"""Prices weighed with volume.

May import: agents.market.indicators, stream.engine.core, stream.engine.define.
"""
