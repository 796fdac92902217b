"""Indicators of recorded trades, through all of the engine, against TA-Lib on the bars that came of them."""

from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.agents.market import recorded
from tests.agents.market.indicators.stepping import ORACLES, PRICES, Oracle
from tickertape.stream.configuration.settings import Settings
from tickertape.testing import run

pytestmark = recorded.needed


@cache
def results(block_records: int) -> dict[str, list[Any]]:
    """Run all indicators on bars of a second; of a minute there are few."""
    names = "; ".join(f"{one.name}@1s" for one in ORACLES)
    indicators = [one.indicator for one in ORACLES]
    settings = Settings(indicators=names)
    return run(recorded.events("trades"), *indicators, settings=settings, block_records=block_records).results


def of_series(some: list[Any], symbol: str, source: str) -> list[Any]:
    return [one for one in some if (one.symbol, one.source, one.resolution) == (symbol, source, "1s")]


@pytest.mark.parametrize("symbol", recorded.SYMBOLS)
@pytest.mark.parametrize("source", ["binance", "all"])
@pytest.mark.parametrize("oracle", [pytest.param(one, id=one.name) for one in ORACLES])
def test_they_are_what_talib_finds(oracle: Oracle, source: str, symbol: str) -> None:
    defaults = [parameter.default for parameter in oracle.indicator.parameters]
    found = of_series(results(5000)[f"indicators/{oracle.indicator.kind(defaults)}"], symbol, source)
    bars = of_series(results(5000)["bars"], symbol, source)
    assert [one.start_ms for one in found] == [bar.start_ms for bar in bars]
    assert [one.revision for one in found] == np.cumsum([bar.count for bar in bars]).tolist()
    assert not any(one.incomplete for one in found)
    columns = {name: np.array([getattr(bar, name) for bar in bars], np.float64) for name in PRICES}
    assert len(columns["close"]) > 300
    # A running sum of prices has lost some 1e-9 of them after hundreds of bars, and a band is a difference of such.
    scale = {"percent": 100.0, "price": columns["close"].max(), None: 0.0}[oracle.off]
    for name, column in oracle.answer(columns, *defaults).items():
        mine = np.array([np.nan if getattr(one, name) is None else getattr(one, name) for one in found])
        np.testing.assert_allclose(mine, column, rtol=1e-9, atol=1e-9 * scale, err_msg=name)


def test_how_the_trades_are_cut_into_blocks_changes_nothing() -> None:
    assert msgspec.json.encode(results(997)) == msgspec.json.encode(results(5000))
