"""A replay of files: formats, order, tallies, what is refused, and what is wrong with a file."""

import gzip
from collections import Counter
from pathlib import Path

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.recorded import polars_bars
from tests.replay.generated import START_MS, trades
from tests.replay.running import bars, lines, quote_bars, replay
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.tally import Tally
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.replay import partition_files as deal


def judge(sent: list[Trade], partitions: int) -> tuple[list[Trade], list[Trade]]:
    """The oracle: which trades count and which are late, by a plain loop over the lanes."""
    newest: dict[tuple[int, str], int] = {}
    counted: dict[tuple[str, str, int], Trade] = {}
    late = []
    for trade in sent:
        lane = partition_for(trade.symbol, partitions), trade.source
        if (trade.time_ms // 1000 + 1) * 1000 <= newest.get(lane, 0) - 2000:
            late.append(trade)
        else:
            counted.setdefault((trade.source, trade.symbol, trade.id), trade)
        newest[lane] = max(newest.get(lane, 0), trade.time_ms)
    return list(counted.values()), late


def binance_line(trade: Trade) -> bytes:
    data = {
        "s": trade.symbol.replace("-", ""),
        "t": trade.id,
        "p": repr(trade.price),
        "q": repr(trade.quantity),
        "T": trade.time_ms,
        "m": trade.side == "sell",
    }
    return b"%d %s\n" % (trade.received_ms * 1_000_000, msgspec.json.encode({"stream": "x@trade", "data": data}))


def binance_quote(quote: Quote) -> bytes:
    sides = {"b": quote.bid, "B": quote.bid_quantity, "a": quote.ask, "A": quote.ask_quantity}
    data = {"u": quote.id, "s": quote.symbol.replace("-", "")} | {name: repr(side) for name, side in sides.items()}
    stamp = quote.received_ms * 1_000_000
    return b"%d %s\n" % (stamp, msgspec.json.encode({"stream": "x@bookTicker", "data": data}))


def test_every_format_and_number_of_processes_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [msgspec.structs.replace(trade, source="binance") for trade in trades(3000)]
    half = len(sent) // 2
    (tmp_path / "plain.jsonl").write_bytes(lines(sent))
    # Every other one in a file of its own: they are merged by when they were received.
    (tmp_path / "even.jsonl.gz").write_bytes(gzip.compress(lines(sent[::2])))
    (tmp_path / "odd.jsonl").write_bytes(lines(sent[1::2]).removesuffix(b"\n"))
    (tmp_path / "binance").write_bytes(b"".join(map(binance_line, sent)))
    pl.DataFrame([msgspec.structs.asdict(trade) for trade in sent[:half]]).write_parquet(tmp_path / "first.parquet")
    pl.DataFrame([msgspec.structs.asdict(trade) for trade in sent[half:]]).write_parquet(tmp_path / "last.parquet")

    # Some ten ranges of the one that is not compressed.
    monkeypatch.setattr(deal, "RANGE_BYTES", 50_000)
    runs = {
        "plain": replay(tmp_path / "1", [tmp_path / "plain.jsonl"], "json", processes=1),
        "blocks": replay(tmp_path / "2", [tmp_path / "plain.jsonl"], "jsonl", processes=2, block_records=11),
        "merged": replay(tmp_path / "3", [tmp_path / "even.jsonl.gz", tmp_path / "odd.jsonl"], "json", processes=2),
        "binance": replay(tmp_path / "4", [tmp_path / "binance"], "binance", processes=3),
        "parquet": replay(tmp_path / "5", [tmp_path / "first.parquet", tmp_path / "last.parquet"], "parquet"),
    }

    for name in ("bars.parquet", "late.parquet"):
        first, *others = [(tmp_path / str(n) / name).read_bytes() for n in range(1, 6)]
        assert [other == first for other in others] == [True] * 4, name
    counted, late = judge(sent, 4)
    for outcome in runs.values():
        tallies = outcome.tallies
        assert (tallies.counted, tallies.late) == (len(counted), len(late))
        assert tallies.repeated == len(sent) - len(counted) - len(late) > 0
        # Two heartbeats to each partition, of quotes none.
        assert outcome.read == len(sent) + 8
        assert not any(outcome.open.values())
        assert outcome.lines is not None
        assert outcome.lines.events == {"trades": len(sent)}
    told = pq.read_table(tmp_path / "1" / "late.parquet")["value"].to_pylist()
    told = [msgspec.json.decode(value, type=Trade) for value in told]
    assert sorted(told, key=str) == sorted(late, key=str)


def test_posts_go_where_their_author_belongs_and_what_names_a_symbol_is_counted(tmp_path: Path) -> None:
    posts = [
        Post(author=f"a{n % 40}", source="net", id=n, time_ms=START_MS + n, text="", symbols=("AAPL",) * (n % 3 > 0))
        for n in range(300)
    ]
    (tmp_path / "own").write_bytes(lines(trades(50)) + b"\n".join(map(msgspec.json.encode, posts)))
    outcome = replay(tmp_path / "out", [tmp_path / "own"], "json", processes=2)
    assert outcome.lines is not None
    assert outcome.lines.events["posts"] == 300
    assert outcome.tallies.unmatched == 100
    # Each source of a topic has two heartbeats in each of its partitions.
    assert outcome.tallies.heartbeats == 4 * (2 * 2 + 2)


def test_trades_and_quotes_of_any_format_go_each_to_their_own(tmp_path: Path) -> None:
    traded = [msgspec.structs.replace(trade, source="binance") for trade in trades(400)]
    quoted = [
        Quote(
            symbol=trade.symbol,
            source="binance",
            id=trade.id,
            time_ms=trade.received_ms,
            bid=trade.price,
            bid_quantity=trade.quantity,
            ask=trade.price + trade.id % 7,
            ask_quantity=1.5,
            received_ms=trade.received_ms,
        )
        for trade in traded
    ]
    both = [one for pair in zip(quoted, traded, strict=True) for one in pair]
    (tmp_path / "own").write_bytes(b"\n".join(map(msgspec.json.encode, both)))
    (tmp_path / "binance").write_bytes(
        b"".join(binance_line(one) if isinstance(one, Trade) else binance_quote(one) for one in both)
    )
    for name, some in (("trades", traded), ("quotes", quoted)):
        pl.DataFrame([msgspec.structs.asdict(one) for one in some]).write_parquet(tmp_path / name)
    runs = [
        replay(tmp_path / "1", [tmp_path / "own"], "jsonl", processes=1),
        replay(tmp_path / "2", [tmp_path / "binance"], "binance", processes=2, block_records=7),
        replay(tmp_path / "3", [tmp_path / "quotes", tmp_path / "trades"], "parquet", processes=2),
    ]
    for name in ("bars.parquet", "quote-bars.parquet", "late.parquet"):
        first, *others = [(tmp_path / str(n) / name).read_bytes() for n in range(1, 4)]
        assert [other == first for other in others] == [True] * 2, name
    assert [run.lines and run.lines.events for run in runs] == [{"trades": len(traded), "quotes": len(quoted)}] * 3
    assert {run.read for run in runs} == {len(both) + 16}
    # Repeats of a trade came as quotes of the next ms, which are repeats too.
    found = quote_bars(tmp_path / "1")
    hour = next(bar for key, bar in found.items() if key[:3] == ("BTC-USD", "all", "1h"))
    assert hour.count == len({quote.id for quote in quoted if quote.symbol == "BTC-USD"})


def test_bars_of_two_sources_are_what_polars_finds(tmp_path: Path) -> None:
    sent = trades(3000, seed=2)
    (tmp_path / "sent").write_bytes(lines(sent))
    replay(tmp_path / "out", [tmp_path / "sent"], "json", processes=2, partitions=3)
    found = bars(tmp_path / "out")
    counted, _ = judge(sent, 3)
    expected = {
        (row["symbol"], source, "1m", row["start_ms"]): row
        for source in ("one", "two", "all")
        for row in polars_bars([t for t in counted if source in (t.source, "all")], 60_000).iter_rows(named=True)
    }
    minutes = {key: bar for key, bar in found.items() if key[2] == "1m"}
    assert minutes.keys() == expected.keys()
    for key, bar in minutes.items():
        row = expected[key]
        assert (bar.high, bar.low, bar.count, bar.largest) == (row["high"], row["low"], row["count"], row["largest"])
        assert bar.volume == pytest.approx(row["volume"], rel=1e-12)


def test_bad_lines_have_their_place_and_bad_trades_are_dead_letters(tmp_path: Path) -> None:
    good = [trade for trade in trades(100) if trade.source == "one"]
    poor = msgspec.json.encode(good[0]).replace(b'"quantity":', b'"quantity":-')
    early = msgspec.json.encode(msgspec.structs.replace(good[0], time_ms=good[0].received_ms + 5001))
    text = lines(good[:10]) + b"\n{}\n[1]\n" + poor + b"\n" + early + b"\n" + lines(good[10:])
    (tmp_path / "some").write_bytes(text)

    outcome = replay(tmp_path / "out", [tmp_path / "some"], "json", partitions=1)

    path = str(tmp_path / "some")
    assert outcome.lines == Tally(
        Counter(trades=len(good) + 2),
        read_in={path},
        bad_in={path},
        bad=2,
        places=[
            f"{tmp_path}/some:12: Object missing required field `symbol`",
            f"{tmp_path}/some:13: Expected `object`, got `array`",
        ],
    )
    assert outcome.tallies.rejected == 2
    letters = pq.read_table(tmp_path / "out" / "dead-letters.parquet").to_pylist()
    assert [letter["value"] for letter in letters] == [poor, early]
    # A heartbeat comes first, and then ten trades.
    assert [letter["offset"] for letter in letters] == [11, 12]
    assert letters[0]["reason"] == "invalid record: Expected `float` > 0.0 - at `$.quantity`"
    assert letters[1]["reason"] == "event time is 5001 ms past its receipt, and skew_ms is 5000"


def test_what_an_earlier_replay_left_is_gone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("late.parquet", "quote-bars.parquet"):
        (tmp_path / "out" / name).write_bytes(b"of another replay")
    (tmp_path / "one").write_bytes(lines(trades(1)))
    replay(tmp_path / "out", [tmp_path / "one"], "json")
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"bars.parquet", "between"} <= made
    assert not {"late.parquet", "quote-bars.parquet"} & made
    assert len(bars(tmp_path / "out")) == 10


def test_with_fill_seconds_without_trades_carry_the_close(tmp_path: Path) -> None:
    (one,) = trades(1)
    sent = [
        msgspec.structs.replace(one, id=i, time_ms=START_MS + at_ms, received_ms=START_MS + at_ms, price=price)
        for i, at_ms, price in ((1, 0, 10.0), (2, 3000, 11.0))
    ]
    (tmp_path / "two").write_bytes(lines(sent))
    replay(tmp_path / "out", [tmp_path / "two"], "json", fill=True)
    found = bars(tmp_path / "out")
    closes = [found[one.symbol, "all", "1s", START_MS + 1000 * i].close for i in range(5)]
    assert closes == [10.0, 10.0, 10.0, 11.0, 11.0]


def test_rows_that_are_no_trades_are_counted(tmp_path: Path) -> None:
    rows = [msgspec.structs.asdict(trade) for trade in trades(3)]
    rows[1]["price"] = -1.0
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "some.parquet")
    outcome = replay(tmp_path / "out", [tmp_path / "some.parquet"], "parquet")
    assert outcome.lines is not None
    assert (outcome.lines.events, outcome.lines.bad) == (Counter(trades=2), 1)
    assert outcome.lines.places == [f"{tmp_path}/some.parquet: row 2: Expected `float` > 0.0 - at `$.price`"]
    assert outcome.tallies.counted == 2


@pytest.mark.parametrize(
    ("kind", "content", "wrong"),
    [
        ("json", None, "No such file or directory"),
        ("json", gzip.compress(b"{}\n" * 1000, mtime=0)[:-8] + bytes(8), "is damaged"),
        ("parquet", None, "No such file or directory"),
        ("parquet", b"no Parquet", "can't be read as Parquet"),
    ],
    ids=["missing JSON", "damaged JSON", "missing Parquet", "no Parquet"],
)
def test_a_file_that_cant_be_read_is_told_of(tmp_path: Path, kind: str, content: bytes | None, wrong: str) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=f"{tmp_path}/file: .*{wrong}"):
        replay(tmp_path / "out", [tmp_path / "file"], kind)


def test_a_column_that_is_missing_is_told_of(tmp_path: Path) -> None:
    pq.write_table(pa.table({"symbol": ["A"], "source": ["x"]}), tmp_path / "file")
    with pytest.raises(InputError, match="no column for the required field id; the columns are source, symbol"):
        replay(tmp_path / "out", [tmp_path / "file"], "parquet")
    pq.write_table(pa.table({"symbol": ["A"], "source": ["x"], "id": [1]}), tmp_path / "file")
    with pytest.raises(InputError, match=r"time_ms \(or a timestamp column `time` or `timestamp`\); the columns"):
        replay(tmp_path / "again", [tmp_path / "file"], "parquet")


def test_files_are_sorted_as_the_feed_sorts_them(tmp_path: Path) -> None:
    sent = trades(400)
    late_first = [*sent[200:], *sent[:200]]
    (tmp_path / "some").write_bytes(lines(late_first[:250]))
    (tmp_path / "more").write_bytes(lines(late_first[250:]))
    (tmp_path / "in-order").write_bytes(lines(sorted(sent, key=lambda trade: trade.time_ms)))
    mixed, ordered = tmp_path / "mixed", tmp_path / "ordered"
    replay(ordered, [tmp_path / "in-order"], "json", by_event_time=True)
    outcome = replay(mixed, [tmp_path / "some", tmp_path / "more"], "json", by_event_time=True)
    assert outcome.tallies.late == 0
    assert bars(mixed) == bars(ordered)


def test_nulls_are_no_fields_in_a_replay_too(tmp_path: Path) -> None:
    (one,) = trades(1)
    line = msgspec.json.encode(msgspec.structs.asdict(one) | {"received_ms": None})
    (tmp_path / "some").write_bytes(line)
    outcome = replay(tmp_path / "out", [tmp_path / "some"], "json")
    assert (outcome.tallies.counted, outcome.tallies.rejected) == (1, 0)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_may_be_timestamps(tmp_path: Path, unit: str) -> None:
    rows = [msgspec.structs.asdict(trade) for trade in trades(3)]
    table = pa.Table.from_pylist(rows)
    for name, called in (("time_ms", "time"), ("received_ms", "received_ms")):
        zone = "Europe/Zurich" if unit == "us" else None
        stamps = pa.array([row[name] // 1000 * 1000 for row in rows], pa.timestamp("ms", zone)).cast(
            pa.timestamp(unit, zone)
        )
        table = table.drop([name]).append_column(called, stamps)
    pq.write_table(table, tmp_path / "some.parquet")
    (sent,) = {row["time_ms"] // 1000 * 1000 for row in rows}
    outcome = replay(tmp_path / "out", [tmp_path / "some.parquet"], "parquet")
    assert outcome.tallies.counted == 3
    assert {bar.open_ms for bar in bars(tmp_path / "out").values()} == {sent}
