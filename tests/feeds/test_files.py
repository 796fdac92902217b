"""Files of recorded lines: formats, order, pace, and what happens to lines that are no good."""

import asyncio
import gzip
import math
import time
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from schemas.trade import Trade
from stream.errors import InputError
from stream.feeds.files import Tally, paced, read

RECORDED = Path(__file__).parents[2].parent / "shared" / "data" / "market"
START_MS = 1_723_161_255_000


def line(number: int, received_ms: int, time_ms: int | None = None, symbol: str = "BTCUSDT") -> bytes:
    happened = received_ms if time_ms is None else time_ms
    return b'%d {"stream":"x@trade","data":{"s":"%s","t":%d,"p":"10.5","q":"2","T":%d,"m":false}}\n' % (
        (START_MS + received_ms) * 1_000_000 + 999_999,
        symbol.encode(),
        number,
        START_MS + happened,
    )


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def ids(trades: list[Trade]) -> list[int]:
    return [trade.id for trade in trades]


def test_a_line_is_a_receipt_in_ns_and_a_message(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", line(7, received_ms=250, time_ms=1500))
    tally = Tally()
    assert list(read([path], "binance", tally)) == [
        Trade(
            symbol="BTC-USDT",
            source="binance",
            id=7,
            time_ms=START_MS + 1500,
            price=10.5,
            quantity=2.0,
            side="buy",
            received_ms=START_MS + 250,
        )
    ]
    assert tally == Tally(trades=1)


def test_files_are_merged_by_receipt_each_in_its_own_order(tmp_path: Path) -> None:
    first = write(tmp_path / "a", line(1, 0), line(2, 200), line(3, 400))
    second = write(tmp_path / "b", line(11, 100), line(12, 200), line(13, 300))
    assert ids(list(read([first, second], "binance", Tally()))) == [1, 11, 2, 12, 13, 3]


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", gzip.compress(line(1, 0) + line(2, 1)))
    assert ids(list(read([path], "binance", Tally()))) == [1, 2]


def test_sorting_is_by_event_time_over_all_files(tmp_path: Path) -> None:
    first = write(tmp_path / "a", line(1, 0, time_ms=500), line(2, 1, time_ms=100))
    second = write(tmp_path / "b", line(3, 2, time_ms=300), line(4, 3, time_ms=500))
    assert ids(list(read([first, second], "binance", Tally(), by_event_time=True))) == [2, 3, 1, 4]


def test_our_own_trades_are_read_as_json_lines(tmp_path: Path) -> None:
    trade = Trade(symbol="A-B", source="me", id=1, time_ms=START_MS, price=1.0, quantity=2.0, side="sell")
    path = write(tmp_path / "a", msgspec.json.encode(trade), b"\n\n", b'{"symbol":"A-B"}\n')
    tally = Tally()
    assert list(read([path], "jsonl", tally)) == [trade]
    assert tally.bad == 1
    assert "missing required field" in tally.places[0]


def test_bad_lines_are_counted_and_the_first_few_placed(tmp_path: Path) -> None:
    bad = [b"\xff\n", b"17 {}}\n", b"no stamp\n", b"{}\n", line(2, 0).replace(b"10.5", b"-1"), b"6\n", b"7\n"]
    path = write(tmp_path / "a", line(1, 0), *bad, line(3, 1), b'1 {"stream":"x@bookTicker"}\n', b"\n")
    tally = Tally()
    assert ids(list(read([path], "binance", tally))) == [1, 3]
    assert (tally.trades, tally.others, tally.bad) == (2, {"bookTicker": 1}, 7)
    assert [place.split(": ")[0] for place in tally.places] == [f"{path}:{n}" for n in (2, 3, 4, 5, 6)]
    assert str(tally).startswith("2 trades; 1 other messages (1 bookTicker); 7 bad lines\n")
    assert str(tally).endswith("\n  … and 2 more")


def test_a_file_that_is_not_there_is_one_line_before_anything_is_read(tmp_path: Path) -> None:
    there = write(tmp_path / "a", line(1, 0))
    with pytest.raises(InputError, match=r"/b: No such file or directory$"):
        next(read([there, tmp_path / "b"], "binance", Tally()))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        next(read([tmp_path], "binance", Tally()))


def test_broken_compression_says_how_far_it_was_read(tmp_path: Path) -> None:
    lines = [line(n, n) for n in range(5000)]
    path = write(tmp_path / "a.gz", gzip.compress(b"".join(lines))[:-2000])
    found: list[Trade] = []
    with pytest.raises(InputError, match=r"a\.gz: can't be read past line \d{4} "):
        found.extend(read([path], "binance", Tally()))


def batches(received_ms: list[int], speed: float) -> tuple[list[list[int]], float]:
    trades = [
        Trade(
            symbol="A", source="s", id=n, time_ms=START_MS, price=1, quantity=1, side="buy", received_ms=START_MS + ms
        )
        for n, ms in enumerate(received_ms)
    ]

    async def collect() -> list[list[int]]:
        return [ids(batch) async for batch in paced(trades, speed)]

    began = time.monotonic()
    return asyncio.run(collect()), time.monotonic() - began


def test_the_pace_is_that_of_the_recording_times_the_speed() -> None:
    found, seconds = batches([0, 1, 2000, 2001, 4000], speed=10)
    assert found == [[0, 1], [2, 3], [4]]
    assert 0.39 < seconds < 2


def test_at_most_speed_nothing_waits() -> None:
    found, seconds = batches([n * 3_600_000 for n in range(2500)], speed=math.inf)
    assert [len(batch) for batch in found] == [1000, 1000, 500]
    assert seconds < 1


@pytest.mark.recorded
def test_the_recorded_files_give_all_their_trades() -> None:
    paths = [RECORDED / f"binance-spot-{symbol}-20240808.jsonl.gz" for symbol in ("btcusdt", "ethusdt")]
    if not all(path.exists() for path in paths):
        pytest.skip(f"no recorded input in {RECORDED}")
    tally = Tally()
    trades = list(read(paths, "binance", tally))
    btc = [trade for trade in trades if trade.symbol == "BTC-USDT"]
    eth = [trade for trade in trades if trade.symbol == "ETH-USDT"]
    assert (len(btc), len(eth), len(trades)) == (9757, 6106, 15_863)
    for one in (btc, eth):
        assert ids(one) == list(range(one[0].id, one[0].id + len(one)))
        assert all(a.time_ms <= b.time_ms for a, b in pairwise(one))
    assert all(a.received_ms <= b.received_ms for a, b in pairwise(trades))
    assert (btc[0].price, btc[0].quantity, btc[0].side) == (61837.63, 0.02, "sell")
    assert tally.bad == 0
    assert tally.others == {"bookTicker": 52_117, "depth": 6_885, "unnamed": 2}
