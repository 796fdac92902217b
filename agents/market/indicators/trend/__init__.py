"""Direction and strength of a trend.

May import: agents.market.indicators, stream.engine.core, stream.engine.define.
"""
