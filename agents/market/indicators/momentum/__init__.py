"""Oscillators of momentum.

May import: agents.market.indicators, stream.engine.core, stream.engine.define.
"""
