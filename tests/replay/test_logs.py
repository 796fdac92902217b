"""A partition's log, put together from what files were dealt out to."""

import heapq
from operator import attrgetter
from pathlib import Path
from random import Random

import msgspec
import pytest

from tests.replay.generated import trades
from tests.replay.running import lines
from tickertape.schemas.heartbeat import HEADER, Heartbeat
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.files import archive
from tickertape.stream.feeds.files.lines import texts
from tickertape.stream.replay import logs
from tickertape.stream.replay import partition_files as deal

# Of records of any time.
BOUNDS = deal.Bounds(5000, 1 << 60)


def ignore(events: int, newest_ms: int) -> None:
    pass


@pytest.mark.parametrize("block_records", [1, 7, 1000])
def test_files_are_merged_as_the_feed_merges_them(
    tmp_path: Path, block_records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, sent = Random(4), trades(500)
    # Within a file they need not be in order, and times of receipt are the same now and then.
    each: list[list[Trade]] = [[], [], []]
    for trade in sent:
        received_ms = trade.received_ms - trade.received_ms % 50
        random.choice(each).append(msgspec.structs.replace(trade, received_ms=received_ms))
    random.shuffle(each[1])
    monkeypatch.setattr(archive, "PIECE_BYTES", 3000)
    monkeypatch.setattr(deal, "RANGE_BYTES", 10_000)
    for number, some in enumerate(each):
        (tmp_path / str(number)).write_bytes(lines(some))
    ranges = [deal.ranges(tmp_path / str(number), "json") for number in range(3)]
    for number, some in enumerate(one for of_file in ranges for one in of_file):
        deal.deal(some, number, tmp_path, {"trades": 1}, ignore, BOUNDS)

    log = logs.OfFiles(str(tmp_path), list(map(len, ranges)), [], [])
    blocks = [block for block in logs.of_files(log, "trades", 0, block_records) if len(block)]

    read = [msgspec.json.decode(value or b"", type=Trade) for block in blocks for value in block.values]
    assert read == list(heapq.merge(*each, key=attrgetter("received_ms")))
    assert [offset for block in blocks for offset in block.offsets.tolist()] == list(range(len(sent)))
    assert max(map(len, blocks)) == min(block_records, len(sent))


def test_heartbeats_come_first_and_last(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(lines(trades(3)))
    deal.deal(deal.Range(tmp_path / "file", "json"), 0, tmp_path, {"trades": 1}, ignore, BOUNDS)
    log = logs.OfFiles(str(tmp_path), [1], [Heartbeat("one", 1), Heartbeat("two", 2)], [Heartbeat("one", 9)])
    first, middle, last = logs.of_files(log, "trades", 0, 100)
    assert (first.values, last.values) == ([None, None], [None])
    assert first.headers[1] == ((HEADER, b'{"source":"two","time_ms":2}'),)
    assert [(block.start, block.end) for block in (first, middle, last)] == [(0, 2), (2, 5), (5, 6)]


def test_a_symbol_is_dealt_out_as_a_feed_would(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(lines(trades(200)))
    deal.deal(deal.Range(tmp_path / "file", "json"), 0, tmp_path, {"trades": 4}, ignore, BOUNDS)
    homes: dict[str, set[int]] = {}
    for partition in range(4):
        for block in logs.of_files(logs.OfFiles(str(tmp_path), [1], [], []), "trades", partition, 100):
            for value in block.values:
                homes.setdefault(msgspec.json.decode(value or b"")["symbol"], set()).add(partition)
    # As Kafka's own partitioner has it.
    assert homes == {"BTC-USD": {1}, "ETH-USD": {0}, "SOL-USD": {1}, "XRP-USD": {1}, "ADA-USD": {2}}


def test_ranges_of_a_file_are_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"".join(b"%d\n" % 10**i for i in (3, 0, 7, 12, 1, 30, 2, 2)) + b"\n17"
    (tmp_path / "file").write_bytes(text)
    for size in range(1, len(text) + 2):
        monkeypatch.setattr(deal, "RANGE_BYTES", size)
        for piece_bytes in (1, 5, 1000):
            monkeypatch.setattr(archive, "PIECE_BYTES", piece_bytes)
            found = [
                line
                for some in deal.ranges(tmp_path / "file", "json")
                for piece in texts(some.path, print, some.start, some.end)
                for line in piece.split(b"\n")
            ]
            assert [line for line in found if line] == text.split(), (size, piece_bytes)


def test_a_bad_line_of_a_later_range_has_its_place_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deal, "RANGE_BYTES", 1000)
    (tmp_path / "file").write_bytes(lines(trades(100)) + b"{}\n")
    last = deal.ranges(tmp_path / "file", "json")[-1]
    assert last.start > 0
    bad = len(trades(100)) + 1
    dealt = deal.deal(last, 0, tmp_path, {"trades": 1}, ignore, BOUNDS)
    assert dealt.tally.places == [f"{tmp_path}/file:{bad}: Object missing required field `symbol`"]
