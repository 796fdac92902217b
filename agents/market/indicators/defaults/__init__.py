"""The indicators that are computed without a setting, with fixed periods.

May import: agents.market, agents.market.indicators, agents.market.indicators.momentum,
agents.market.indicators.volatility, schemas, stream.engine.core, stream.engine.define.
"""
