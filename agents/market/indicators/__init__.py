"""Technical indicators of bars of trades: what they share. The folders in it hold the indicators, one in each file.

May import: agents.market, schemas, stream.engine.core, stream.engine.define.
"""
