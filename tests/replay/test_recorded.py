"""Recorded files give the bars that Polars finds, and the same bytes whatever the blocks and processes."""

from pathlib import Path

import pytest

from tests.integration import recorded, recorded_series
from tests.replay.running import bars, quote_bars, replay, rows
from tickertape.agents.market.bars import TRADE_BARS

pytestmark = recorded.needed

EXACT = ("open", "high", "low", "close", "open_ms", "close_ms", "largest", "count", "missing")
SUMS = ("volume", "notional", "buy_volume")


def test_recorded_files_give_what_polars_finds_byte_for_byte_the_same(tmp_path: Path) -> None:
    changes = {"resolutions": recorded_series.RESOLUTIONS, "indicators": "macd@1s; bbands(20, 2.5)@1s,1m; adx@1s"}
    outcome = replay(tmp_path / "one", recorded.PATHS, "binance", processes=1, block_records=8192, **changes)
    replay(tmp_path / "two", recorded.PATHS, "binance", processes=2, block_records=37, **changes)
    follow = [f"indicators/{kind}" for kind in recorded_series.RESOLUTIONS] + ["rolling/trades", "rolling/quotes"]
    follow += [f"indicators/{kind}" for kind in ("macd_12_26_9", "bbands_20_2.5", "adx_14")]
    for name in (f"{output}.parquet" for output in ("bars", "quote-bars", *follow)):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()

    assert str(outcome) == (
        "52,117 quotes, 15,863 trades; 6,887 other messages (6,885 book, 2 unnamed)\n"
        "read 67,996 = counted 67,980 + late 0 + rejected 0 + repeated 0 + unmatched 0 + heartbeats 16"
    )
    found, compared = bars(tmp_path / "one"), 0
    trades = recorded.trades()
    for resolution, width_ms in TRADE_BARS.resolutions.items():
        for row in recorded.polars_bars(trades, width_ms).iter_rows(named=True):
            for source in ("binance", "all"):
                bar = found[row["symbol"], source, resolution, row["start_ms"]]
                assert {name: getattr(bar, name) for name in EXACT} == {name: row[name] for name in EXACT}
                assert [getattr(bar, name) for name in SUMS] == pytest.approx([row[name] for name in SUMS], rel=1e-9)
                assert (bar.final, bar.revision, bar.incomplete) == (True, row["count"], False)
                compared += 1
    assert compared == len(found) == 1386
    recorded.assert_are_polars(recorded.quote_rows(recorded.quotes()), quote_bars(tmp_path / "one"))
    for kind in recorded_series.RESOLUTIONS:
        recorded_series.assert_are_talibs(kind, rows(tmp_path / "one" / "indicators" / f"{kind}.parquet"), trades)
    for kind in ("trades", "quotes"):
        recorded_series.assert_are_polars(kind, rows(tmp_path / "one" / "rolling" / f"{kind}.parquet"))
