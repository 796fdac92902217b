"""How far prices move.

May import: agents.market.indicators, stream.engine.core, stream.engine.define.
"""
