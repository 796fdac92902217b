"""Recorded quotes through slices and windows, in process, against what Polars computes from the same file."""

import gzip
import json
from functools import cache

import pytest

from tests.agents.market import recorded
from tests.agents.market.recorded import SYMBOLS, Results, assert_equal, path, results
from tests.integration.recorded import QuoteRow, assert_are_polars
from tickertape.agents.market.quote_bars import QUOTE_BARS

pytestmark = recorded.needed


def rows() -> list[QuoteRow]:
    """Read both files, without any of our code."""
    found: list[QuoteRow] = []
    for symbol in SYMBOLS:
        with gzip.open(path(symbol)) as lines:
            for line in lines:
                received_ns, _, text = line.partition(b" ")
                message = json.loads(text)
                if message.get("stream", "").endswith("@bookTicker"):
                    data = message["data"]
                    bid, bids, ask, asks = (float(data[name]) for name in ("b", "B", "a", "A"))
                    found.append((symbol, data["u"], int(received_ns) // 1_000_000, bid, bids, ask, asks))
    return found


@cache
def reference() -> Results:
    return results(QUOTE_BARS, 1, seed=0)


def test_bars_are_what_polars_finds() -> None:
    assert_are_polars(rows(), reference())


@pytest.mark.parametrize("partitions", [1, 4])
def test_any_blocks_and_partitions_give_the_same_bars(partitions: int) -> None:
    assert results(QUOTE_BARS, partitions, seed=partitions) == reference()


@pytest.mark.parametrize("partitions", [3])
def test_a_symbol_that_is_spread_gives_the_same_bars_but_for_the_order_of_sums(partitions: int) -> None:
    found = results(QUOTE_BARS, partitions, seed=partitions, spread=True)
    assert_equal(found, reference(), summed=("mean_spread_bps", "mean_imbalance"))
