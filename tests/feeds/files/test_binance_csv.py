"""Files of Binance's public data: the columns are those of github.com/binance/binance-public-data."""

import gzip
import itertools
import tracemalloc
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.registry import format_named
from tickertape.stream.feeds.files import binance_csv

SPOT = "28457,4261.48000000,1.77518300,7565.19,1502942428322,True,True\n"
SPOT_2025 = "28458,4261.5,0.5,2130.75,1735689600000123,False,True\n"
PERPETUAL = "28457,4.00000100,12.00000000,48.00,1499865549590,true\n"
AGGREGATE = "0,0.20000000,50.00000000,3,7,1608872400000,False,True\n"
PERPETUAL_AGGREGATE = "26129,0.01633102,4.70443515,27781,27781,1498793709153,true\n"


def trade(number: int, time_ms: int, price: float, quantity: float, side: str, **more: object) -> Trade:
    common = {"symbol": "BTC-USDT", "source": "binance"} | more
    return Trade(id=number, time_ms=time_ms, price=price, quantity=quantity, side=side, **common)  # type: ignore[arg-type]  # by name


def read(folder: Path, name: str, text: str, *, exact: bool = False) -> tuple[list[Trade], list[str]]:
    path, bad = folder / name, list[str]()
    path.write_text(text)
    return list(binance_csv.events(path, bad.append, exact=exact)), [one.removeprefix(f"{folder}/") for one in bad]


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        (
            "BTCUSDT-trades-2017-08-17.csv",
            SPOT + SPOT_2025,
            # If the buyer was the maker, the taker sold. Times are in µs since 2025.
            [
                trade(28457, 1502942428322, 4261.48, 1.775183, "sell"),
                trade(28458, 1735689600000, 4261.5, 0.5, "buy"),
            ],
        ),
        (
            "BTCUSDT-trades-2020-01.csv",
            "id,price,qty,quote_qty,time,is_buyer_maker\n" + PERPETUAL,
            [trade(28457, 1499865549590, 4.000001, 12.0, "sell", symbol="BTC-USDT-PERP", source="binanceusdm")],
        ),
        ("BTCUSDT-aggTrades-2020-12-25.csv", AGGREGATE, [trade(3, 1608872400000, 0.2, 50.0, "buy", last_id=7)]),
        (
            "BTCUSDT-aggTrades-2024-01-01.csv",
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\r\n"
            + PERPETUAL_AGGREGATE.replace("\n", "\r\n"),
            [
                trade(
                    *(27781, 1498793709153, 0.01633102, 4.70443515, "sell"),
                    symbol="BTC-USDT-PERP",
                    source="binanceusdm",
                )
            ],
        ),
    ],
)
def test_each_file_of_binance(tmp_path: Path, name: str, text: str, wanted: list[Trade]) -> None:
    assert read(tmp_path, name, text) == (wanted, [])


def test_zips_with_several_members_and_headers(tmp_path: Path) -> None:
    header = "id,price,qty,quote_qty,time,is_buyer_maker\n"
    path = tmp_path / "BTCUSDT-trades-2020-01-01.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", header + PERPETUAL)
        archive.writestr("b.csv", header + PERPETUAL.replace("28457", "28458"))
    assert [one.id for one in binance_csv.events(path, pytest.fail)] == [28457, 28458]


def test_digits_are_kept_if_the_setting_says_so(tmp_path: Path) -> None:
    row = "1,0.10000000000000000001,123456789.123456789,1,1502942428322,True,True\n"
    ((one,), bad) = read(tmp_path, "BTCUSDT-trades-2017-08-17.csv", row, exact=True)
    assert (str(one.price), str(one.quantity), bad) == ("0.10000000000000000001", "123456789.123456789", [])
    plain = format_named("binance-csv", (), {"binance_decimals": "false"})
    exact = format_named("binance-csv", (), {"binance_decimals": "true"})
    assert plain.read is binance_csv.FORMAT.read
    assert exact is binance_csv.FORMAT.exact
    assert exact.read is not None
    (again,) = exact.read(tmp_path / "BTCUSDT-trades-2017-08-17.csv", pytest.fail)
    assert isinstance(again, Trade)
    assert again.price == Decimal("0.10000000000000000001")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x,1,1,1,1502942428322,True,True", "Expected `int`, got `str` in column id"),
        ("1,0,1,1,1502942428322,True,True", "Expected `float` > 0.0 in column price"),
        ("1,nan,1,1,1502942428322,True,True", "Expected `float` > 0.0 in column price"),
        ("1,1,1,1,1502942428,True,True", "Expected `int` >= 946684800000 in column time"),
        ("1,1,1,1,1502942428322,perhaps,True", "Expected `bool`, got `str` in column is_buyer_maker"),
        ("1,1,1,1,1502942428322,True", "6 columns instead of 7"),
        ("1,1,1,1,1502942428322,True,True,1", "8 columns instead of 7"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, row: str, reason: str) -> None:
    found, bad = read(tmp_path, "BTCUSDT-trades-2017-08-17.csv", f"{SPOT}{row}\n{SPOT_2025}")
    assert [one.id for one in found] == [28457, 28458]
    assert bad == [f"BTCUSDT-trades-2017-08-17.csv:2: {reason}"]


def test_a_file_that_is_cut_off_says_after_which_line(tmp_path: Path) -> None:
    path, bad = tmp_path / "BTCUSDT-trades-2017-08-17.csv.gz", list[str]()
    whole = gzip.compress(("".join(SPOT.replace("28457", str(n)) for n in range(20_000))).encode())
    path.write_bytes(whole[: len(whole) // 2])
    found = list(binance_csv.events(path, bad.append))
    assert [one.id for one in found] == list(range(len(found)))
    assert 0 < len(found) < 20_000
    assert bad == [f"{path}:{len(found)}: is cut off after this line"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("trades.csv", SPOT, "a file of Binance names its symbol and kind"),
        ("BTCUSDT-trades-2020-01-01.csv", "1,2,3\n", ":1: is no file of trades of Binance: 1,2,3"),
        ("BTCUSDT-trades-2020-01-01.csv", "a,b,c,d,e,f\n", ":1: is no file of trades of Binance"),
        ("BTCUSD_PERP-trades-2020-01-01.csv", "id,price,qty,base_qty,time,is_buyer_maker\n", ":1: has contracts"),
        ("BLAFASEL-trades-2020-01-01.csv", SPOT, "doesn't end in a known quote asset"),
    ],
)
def test_what_is_no_such_file(tmp_path: Path, name: str, text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(tmp_path, name, text)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades-2017-08-17.csv"

    def most(rows: int) -> int:
        with path.open("w") as file:
            file.writelines(SPOT.replace("28457", str(n)) for n in range(rows))
        tracemalloc.start()
        try:
            assert sum(1 for _ in itertools.islice(binance_csv.events(path, pytest.fail), rows)) == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert most(120_000) < 1.2 * most(60_000)
