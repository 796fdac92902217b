"""Files of recorded lines: formats, order, pace, and what happens to lines that are no good."""

import asyncio
import gzip
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickertape.schemas.events import Event
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.registry import format_named, formats
from tickertape.stream.feeds.files import archive
from tickertape.stream.feeds.files import lines as lines_of
from tickertape.stream.feeds.files.reading import Turn, paced, read, turns
from tickertape.stream.feeds.tally import Tally

RECORDED = Path(__file__).parents[3].parent / "shared" / "data" / "market"
START_MS = 1_723_161_255_000

FORMATS = formats(())


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


def quote_line(number: int, received_ms: int) -> bytes:
    return b'%d {"stream":"x@bookTicker","data":{"u":%d,"s":"BTCUSDT","b":"10","B":"3","a":"11","A":"4"}}\n' % (
        (START_MS + received_ms) * 1_000_000 + 999_999,
        number,
    )


def ids(events: Sequence[Event]) -> list[int]:
    return [event.id for event in events]


def test_a_line_is_a_receipt_in_ns_and_a_message(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", line(7, received_ms=250, time_ms=1500))
    tally = Tally()
    assert list(read([path], FORMATS["binance"], tally)) == [
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
    assert tally == Tally(Counter(trades=1), read_in={str(path)})


def test_a_recording_has_trades_and_quotes_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", quote_line(7, 250), line(8, received_ms=251, time_ms=1500), quote_line(9, 252))
    tally = Tally()
    first, second, third = read([path], FORMATS["binance"], tally)
    assert first == Quote(
        symbol="BTC-USDT",
        source="binance",
        id=7,
        time_ms=START_MS + 250,
        bid=10.0,
        bid_quantity=3.0,
        ask=11.0,
        ask_quantity=4.0,
        received_ms=START_MS + 250,
    )
    assert (type(second), third.id) == (Trade, 9)
    assert str(tally) == "2 quotes, 1 trade"


def test_files_are_merged_by_receipt_each_in_its_own_order(tmp_path: Path) -> None:
    first = write(tmp_path / "a", line(1, 0), line(2, 200), line(3, 400))
    second = write(tmp_path / "b", line(11, 100), line(12, 200), line(13, 300))
    assert ids(list(read([first, second], FORMATS["binance"], Tally()))) == [1, 11, 2, 12, 13, 3]


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", gzip.compress(line(1, 0) + line(2, 1)))
    assert ids(list(read([path], FORMATS["binance"], Tally()))) == [1, 2]


def test_sorting_is_by_event_time_over_all_files(tmp_path: Path) -> None:
    first = write(tmp_path / "a", line(1, 0, time_ms=500), line(2, 1, time_ms=100))
    second = write(tmp_path / "b", line(3, 2, time_ms=300), line(4, 3, time_ms=500))
    assert ids(list(read([first, second], FORMATS["binance"], Tally(), by_event_time=True))) == [2, 3, 1, 4]


def test_our_own_events_are_read_as_json_lines_and_told_apart_by_their_fields(tmp_path: Path) -> None:
    trade = Trade(symbol="A-B", source="me", id=1, time_ms=START_MS, price=1.0, quantity=2.0, side="sell")
    quote = Quote(
        # It is a field that tells, not what any of them says.
        symbol='"bid":',
        source="bid",
        id=1,
        time_ms=START_MS,
        bid=1.0,
        bid_quantity=2.0,
        ask=3.0,
        ask_quantity=4.0,
    )
    lines = [msgspec.json.encode(one) for one in (trade, quote)]
    path = write(tmp_path / "a", b"\n\n".join(lines), b'\n{"symbol":"A-B"}\n{"symbol":"A-B","bid":1}\n{"bid":}\n')
    tally = Tally()
    assert list(read([path], FORMATS["jsonl"], tally)) == [trade, quote]
    assert (tally.events, tally.bad) == ({"trades": 1, "quotes": 1}, 3)
    assert "missing required field `source`" in tally.places[0]


def test_bad_lines_are_counted_and_the_first_few_placed(tmp_path: Path) -> None:
    bad = [b"\xff\n", b"17 {}}\n", b"no stamp\n", b"{}\n", line(2, 0).replace(b"10.5", b"-1"), b"6\n", b"7\n"]
    path = write(tmp_path / "a", line(1, 0), *bad, line(3, 1), b'1 {"stream":"x@kline_1m"}\n', b"\n")
    tally = Tally()
    assert ids(list(read([path], FORMATS["binance"], tally))) == [1, 3]
    assert (tally.events, tally.others, tally.bad) == ({"trades": 2}, {"kline_1m": 1}, 7)
    assert [place.split(": ")[0] for place in tally.places] == [f"{path}:{n}" for n in (2, 3, 4, 5, 6)]
    assert str(tally).startswith("2 trades; 1 other message (1 kline_1m); 7 bad lines\n")
    assert str(tally).endswith("\n  … and 2 more")


def test_a_file_that_is_not_there_is_one_line_before_anything_is_read(tmp_path: Path) -> None:
    there = write(tmp_path / "a", line(1, 0))
    with pytest.raises(InputError, match=r"/b: No such file or directory$"):
        next(read([there, tmp_path / "b"], FORMATS["binance"], Tally()))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        next(read([tmp_path], FORMATS["binance"], Tally()))


def test_an_archive_that_is_cut_off_gives_what_it_holds_and_says_so(tmp_path: Path) -> None:
    lines = [line(n, n) for n in range(5000)]
    path = write(tmp_path / "a.gz", gzip.compress(b"".join(lines))[:-2000])
    tally = Tally()
    found = ids(list(read([path], FORMATS["binance"], tally)))
    assert found == [*range(len(found))]
    assert 4000 < len(found) < 5000
    assert tally.bad == 0
    assert re.search(rf"\n{path}:{len(found)}: is cut off after this line$", str(tally))


def test_reading_on_without_an_event_gives_others_their_turn(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"no line\n" * 50_000, line(1, 0))
    events = [turn.event for turn in turns([path], FORMATS["binance"], Tally())]
    assert events[-1] is not None
    assert events[:-1] == [None] * (len(events) - 1) != []


def test_a_line_longer_than_any_record_is_one_bad_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_of, "LONGEST_BYTES", 1000)
    monkeypatch.setattr(archive, "PIECE_BYTES", 100)
    path = write(tmp_path / "a", line(1, 0), b"x" * 100_000 + b"\n", line(2, 1))
    tally = Tally()
    assert ids(list(read([path], FORMATS["binance"], tally))) == [1, 2]
    assert tally.bad == 1
    assert len(tally.places[0]) < 3000


@pytest.mark.parametrize("kind", ["jsonl", "binance", "jetstream", "twitter"])
def test_a_nested_line_is_a_bad_line(tmp_path: Path, kind: str) -> None:
    nested = b"[" * 100_000
    each = [nested, b'{"a":' * 100_000, b"1 " + nested, b'1 {"stream":"x@trade","data":' + nested]
    path = write(tmp_path / "a", b"\n".join(each))
    tally = Tally()
    assert list(read([path], FORMATS[kind], tally)) == []
    assert (tally.bad, tally.unread) == (4, [str(path)])


def test_a_file_of_which_no_line_could_be_read_is_an_error(tmp_path: Path) -> None:
    good, bad, empty = (write(tmp_path / name, text) for name, text in (("g", line(1, 0)), ("b", b"?\n"), ("e", b"\n")))
    tally = Tally()
    list(read([good, bad, empty], FORMATS["binance"], tally))
    with pytest.raises(InputError, match=r"/b: no line could be read as binance; try another --format: x, y$"):
        tally.must_be_read("binance", ["y", "x"])


OWN = {"symbol": "A-B", "source": "me", "id": 1, "time_ms": START_MS, "price": 1.0, "quantity": 2.0, "side": "sell"}


def test_a_null_in_a_field_that_may_be_left_out_is_no_field(tmp_path: Path) -> None:
    post = {"author": "a", "source": "s", "id": 1, "time_ms": START_MS, "text": "t", "tags": None, "likes": None}
    each = [OWN | {"received_ms": None}, post | {"symbols": None, "sentiment": None}, OWN | {"id": None}]
    path = write(tmp_path / "a", b"\n".join(map(msgspec.json.encode, each)))
    tally = Tally()
    trade, other = read([path], FORMATS["jsonl"], tally)
    assert trade.received_ms == 0
    assert isinstance(other, Post)
    assert (other.tags, other.likes, other.sentiment) == ((), 0, None)
    # What another kind has, and is null here, doesn't make it one of those.
    odd = write(tmp_path / "b", b"\n".join(map(msgspec.json.encode, [OWN | {"bid": None, "author": None}])))
    assert [type(event) for event in read([odd], FORMATS["jsonl"], Tally())] == [Trade]
    # One that has to be there can't be null.
    assert (tally.bad, "`$.id`" in tally.places[0]) == (1, True)


@pytest.mark.parametrize(
    ("time", "unit"), [(1_723_161_255, "seconds"), (START_MS * 1000, "microseconds"), (START_MS * 10**6, "nanoseconds")]
)
def test_a_wrong_unit_of_time_is_named(tmp_path: Path, time: int, unit: str) -> None:
    own = write(tmp_path / "own", msgspec.json.encode(OWN | {"time_ms": time}))
    tally = Tally()
    assert list(read([own], FORMATS["jsonl"], tally)) == []
    assert tally.places[0].endswith(f"`$.time_ms`: {time} looks like {unit}")
    if unit == "microseconds":
        # Binance may send these.
        return
    theirs = line(1, 0).replace(b'"T":%d' % START_MS, b'"T":%d' % time)
    tally = Tally()
    assert list(read([write(tmp_path / "theirs", theirs)], FORMATS["binance"], tally)) == []
    assert tally.places[0].endswith(f"{time} looks like {unit}")


def batches(received_ms: list[int], speed: float) -> tuple[list[list[int]], float]:
    trades = [
        Trade(
            symbol="A", source="s", id=n, time_ms=START_MS, price=1, quantity=1, side="buy", received_ms=START_MS + ms
        )
        for n, ms in enumerate(received_ms)
    ]

    async def collect() -> list[list[int]]:
        return [ids(batch) async for batch in paced([Turn(trade.received_ms, trade) for trade in trades], speed)]

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
def test_the_recorded_files_give_all_their_trades_and_quotes() -> None:
    paths = [RECORDED / f"binance-spot-{symbol}-20240808.jsonl.gz" for symbol in ("btcusdt", "ethusdt")]
    if not all(path.exists() for path in paths):
        pytest.skip(f"no recorded input in {RECORDED}")
    tally = Tally()
    events = list(read(paths, FORMATS["binance"], tally))
    of: dict[tuple[type, str], list[Event]] = {}
    for event in events:
        assert isinstance(event, Trade | Quote)
        of.setdefault((type(event), event.symbol), []).append(event)
    counts = {key: len(some) for key, some in of.items()}
    assert counts == {
        (Trade, "BTC-USDT"): 9757,
        (Quote, "BTC-USDT"): 28_040,
        (Trade, "ETH-USDT"): 6106,
        (Quote, "ETH-USDT"): 24_077,
    }
    assert tally.events == {"trades": 15_863, "quotes": 52_117}
    for (kind, _), some in of.items():
        if kind is Trade:
            assert ids(some) == list(range(some[0].id, some[0].id + len(some)))
        assert all(a.id < b.id and a.time_ms <= b.time_ms for a, b in pairwise(some))
    assert all(a.received_ms <= b.received_ms for a, b in pairwise(events))
    first = of[Trade, "BTC-USDT"][0]
    assert isinstance(first, Trade)
    assert (first.price, first.quantity, first.side) == (61837.63, 0.02, "sell")
    assert tally.bad == 0
    assert tally.others == {"book": 6_885, "unnamed": 2}


def test_posts_of_any_format_and_what_else_there_was(tmp_path: Path) -> None:
    status = b'{"created_at":"Wed May 21 14:30:05 +0000 2014","id_str":"7","text":"$FB","user":{"id_str":"42"}}\n'
    (tweet,) = read([write(tmp_path / "tweets", status)], FORMATS["twitter"], Tally())
    event = b'{"did":"did:plc:a","time_us":1783175889000123,"kind":"commit","commit":{"operation":%s}}\n'
    post = (
        b'"create","collection":"app.bsky.feed.post","rkey":"k","record":{"text":"","createdAt":"2026-07-04T14:38:08Z"}'
    )
    deletion = b'"delete","collection":"app.bsky.feed.post","rkey":"k"'
    tally = Tally()
    (created,) = read([write(tmp_path / "events", event % post, event % deletion)], FORMATS["jetstream"], tally)
    assert str(tally) == "1 post; 1 other message (1 deletion)"
    assert (tweet.time_ms, created.received_ms) == (1_400_682_605_000, 1_783_175_889_000)
    own = write(tmp_path / "own", msgspec.json.encode(tweet), b"\n", msgspec.json.encode(created), b"\n")
    # The tweet doesn't say when it was received.
    assert list(read([own], FORMATS["jsonl"], Tally())) == [tweet, created]


def test_the_sources_name_may_be_another(tmp_path: Path) -> None:
    path = write(tmp_path / "a", line(1, 0), quote_line(2, 1))
    assert [event.source for event in read([path], FORMATS["binance"], Tally(), source="binance-futures")] == [
        "binance-futures"
    ] * 2


def test_decimals_in_parquet_keep_their_digits(tmp_path: Path) -> None:
    digits = [Decimal("0.100000000000000000010"), Decimal("2.500000000000000000000")]
    columns = {
        "symbol": ["BTC-USDT"] * 2,
        "source": ["binance"] * 2,
        "id": [1, 2],
        "time_ms": [1_700_000_000_000, 1_700_000_000_001],
        "price": pa.array(digits, pa.decimal128(30, 21)),
        "quantity": [1.0, 2.0],
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    format_ = format_named("parquet", ())
    found = list(read([tmp_path / "x.parquet"], format_, Tally()))
    assert [str(event.price) for event in found if isinstance(event, Trade)] == list(map(str, digits))
