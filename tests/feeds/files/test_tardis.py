"""CSV files of Tardis: the columns are those of docs.tardis.dev."""

import gzip
from pathlib import Path

import pytest

from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.files import tardis

TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
QUOTES = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n"
AT = "1585699200245123,1585699200300000"


def read(folder: Path, text: str, *, exact: bool = False) -> tuple[list[Event | Other], list[str]]:
    path, bad = folder / "BTCUSDT.csv.gz", list[str]()
    path.write_bytes(gzip.compress(text.encode()))
    return list(tardis.events(path, bad.append, exact=exact)), [one.removeprefix(f"{folder}/") for one in bad]


def test_trades(tmp_path: Path) -> None:
    found, bad = read(
        tmp_path,
        TRADES
        + f"binance,BTCUSDT,{AT},123,buy,6424.18,0.001\n"
        # Contracts of 0.01 BTC.
        + f"okex-swap,BTC-USDT-SWAP,{AT},9,sell,6424.1,35\n"
        + f"bybit,BTCUSDT,{AT},0a1b-c,unknown,6424,2\n"
        # Without ids, as some exchanges have none.
        + f"kraken,XBT/USD,{AT},,buy,6424,2\n"
        + f"kraken,XBT/USD,{AT},,buy,6424,2\n",
    )
    common = {"time_ms": 1585699200245, "received_ms": 1585699200300}
    assert bad == []
    assert found == [
        Trade(symbol="BTC-USDT", source="binance", id=123, price=6424.18, quantity=0.001, side="buy", **common),
        Trade(symbol="BTC-USDT-PERP", source="okxswap", id=9, price=6424.1, quantity=0.35, side="sell", **common),
        Trade(symbol="BTC-USDT-PERP", source="bybitlinear", id="0a1b-c", price=6424.0, quantity=2.0, **common),
        Trade(
            symbol="BTC-USD", source="kraken", id="1585699200245123-0", price=6424.0, quantity=2.0, side="buy", **common
        ),
        Trade(
            symbol="BTC-USD", source="kraken", id="1585699200245123-1", price=6424.0, quantity=2.0, side="buy", **common
        ),
    ]


def test_quotes_with_all_digits(tmp_path: Path) -> None:
    row = f"coinbase,BTC-USD,{AT},0.10000000000000000001,6425.00,6424.50,2.50\n"
    empty = f"coinbase,BTC-USD,{AT},1,6425,,\n"
    found, bad = read(tmp_path, QUOTES + row + row + empty, exact=True)
    assert bad == []
    first, second, third = found
    assert isinstance(first, Quote)
    assert isinstance(second, Quote)
    assert (first.symbol, first.source, first.time_ms) == ("BTC-USD", "coinbase", 1585699200245)
    # The time of receipt in µs counts up.
    assert (first.id, second.id) == (1585699200300000, 1585699200300001)
    digits = [str(one) for one in (first.bid, first.bid_quantity, first.ask, first.ask_quantity)]
    assert digits == ["6424.50", "2.50", "6425.00", "0.10000000000000000001"]
    assert third == Other("empty book")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"bitmex,XBTUSD,{AT},1,buy,1,1", "the instruments of 'bitmex' aren't known; those of binance"),
        (f"okex-swap,BTC-USD-SWAP,{AT},1,buy,1,1", "is inverse"),
        ("binance,BTCUSDT,1585699200245,1585699200300,1,buy,1,1", "Expected `int` >= .* in column timestamp"),
        (f"binance,BTCUSDT,{AT},1,both,1,1", "Invalid enum value 'both' in column side"),
        (f"binance,BTCUSDT,{AT},1,buy,-1,1", "Expected `float` > 0.0 in column price"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, row: str, reason: str) -> None:
    good = f"binance,BTCUSDT,{AT},123,buy,6424.18,0.001\n"
    found, (bad,) = read(tmp_path, f"{TRADES}{good}{row}\n{good}")
    assert len(found) == 2
    assert bad.startswith("BTCUSDT.csv.gz:3: ")
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(bad)


def test_other_files_of_tardis_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r":1: is not a file of trades or quotes of Tardis: its columns are exchange"):
        read(
            tmp_path, "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\nx,y,1,1,true,bid,1,1\n"
        )
