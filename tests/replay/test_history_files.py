"""Files of history are replayed to the bars that Polars makes of their trades, whichever format they have."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.feeds.backfill.exchange import Made, made
from tests.integration.recorded import polars_bars
from tests.replay.running import bars, replay
from tickertape.agents.market.bars import TRADE_BARS

EXACT = ("open", "high", "low", "close", "open_ms", "close_ms", "largest", "count", "missing")
SUMS = ("volume", "notional", "buy_volume")


def binance_csv(folder: Path, trades: list[Made]) -> Path:
    """Write a zip whose times are in µs."""
    path, text = folder / "BTCUSDT-trades-2024-08-09.zip", io.StringIO()
    for one in trades:
        text.write(f"{one.id},{one.price},{one.quantity},1,{one.time_ms * 1000 + 7},{one.is_maker},True\n")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-trades-2024-08-09.csv", text.getvalue())
    return path


def tardis(folder: Path, trades: list[Made]) -> Path:
    text = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    for one in trades:
        at, side = one.time_ms * 1000, "sell" if one.is_maker else "buy"
        text += f"binance,BTCUSDT,{at},{at + 5000},{one.id},{side},{one.price},{one.quantity}\n"
    path = folder / "binance_trades_2024-08-09_BTCUSDT.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    return path


def parquet(folder: Path, trades: list[Made]) -> Path:
    """Write decimals, and times as timestamps."""
    columns = {
        "symbol": ["BTC-USDT"] * len(trades),
        "source": ["binance"] * len(trades),
        "id": [one.id for one in trades],
        "timestamp": pa.array([one.time_ms * 1000 for one in trades], pa.timestamp("us", "UTC")),
        "price": pa.array([one.price for one in trades]).cast(pa.decimal128(20, 10)),
        "quantity": pa.array([one.quantity for one in trades]).cast(pa.decimal128(20, 10)),
        "side": ["sell" if one.is_maker else "buy" for one in trades],
    }
    path = folder / "x.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=100)
    return path


@pytest.mark.parametrize(
    ("kind", "write"),
    [("binance-csv", binance_csv), ("tardis", tardis), ("parquet", parquet)],
    ids=["binance-csv", "tardis", "parquet"],
)
def test_bars_are_those_of_polars(kind: str, write: Callable[[Path, list[Made]], Path], tmp_path: Path) -> None:
    trades = made(1500, 0.2)
    outcome = replay(tmp_path / "out", [write(tmp_path, trades)], kind)
    assert outcome.lines is not None
    assert (outcome.lines.events["trades"], outcome.lines.bad, outcome.tallies.counted) == (1500, 0, 1500)
    found, compared = bars(tmp_path / "out"), 0
    for resolution, width_ms in TRADE_BARS.resolutions.items():
        for row in polars_bars([one.as_trade() for one in trades], width_ms).iter_rows(named=True):
            for source in ("binance", "all"):
                bar = found[row["symbol"], source, resolution, row["start_ms"]]
                assert {name: getattr(bar, name) for name in EXACT} == {name: row[name] for name in EXACT}
                assert [getattr(bar, name) for name in SUMS] == pytest.approx([row[name] for name in SUMS], rel=1e-9)
                compared += 1
    assert compared == len(found)
