"""The record of a book's depth is what other programs read, and can be read as an input later."""

import msgspec
import pytest

from tickertape.schemas.book import Depth
from tickertape.schemas.events import TOPICS
from tickertape.schemas.topics import BOOKS, CATALOGUE, QUOTES
from tickertape.stream.bundles.packing import pack
from tickertape.stream.bundles.unpacking import Unpacked

DEPTH = Depth(
    symbol="BTC-USDT",
    source="binance",
    id=50093239218,
    time_ms=1_723_161_255_000,
    changed_ms=1_723_161_254_908,
    bids=[61837.63, 61837.62],
    bid_quantities=[3.78826, 0.617],
    asks=[61837.64],
    ask_quantities=[1.54698],
    received_ms=1_723_161_255_003,
)
TEXT = (
    b'{"symbol":"BTC-USDT","source":"binance","id":50093239218,"time_ms":1723161255000,"changed_ms":1723161254908,'
    b'"bids":[61837.63,61837.62],"bid_quantities":[3.78826,0.617],"asks":[61837.64],"ask_quantities":[1.54698],'
    b'"received_ms":1723161255003}'
)


def test_a_record() -> None:
    assert msgspec.json.encode(DEPTH) == TEXT
    assert msgspec.json.decode(TEXT, type=Depth) == DEPTH


@pytest.mark.parametrize("wrong", [b"[0.0", b"[-1", b"[1e19", b"[null", b'["1"', b"[1" + b",1" * 1000])
def test_what_is_no_depth(wrong: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(TEXT.replace(b"[61837.63", wrong), type=Depth)


def test_depths_fit_in_a_bundle() -> None:
    assert list(Unpacked(pack([DEPTH, DEPTH]), 2).texts) == [TEXT, TEXT]


def test_its_topic_is_ready_to_be_an_input() -> None:
    """A topic that exists already would have to be changed otherwise."""
    assert TOPICS[Depth] is BOOKS
    assert BOOKS in CATALOGUE
    assert not BOOKS.is_input
    same = ("key", "partitions", "retention_ms", "cleanup", "max_record_bytes", "append_time", "segment_bytes")
    assert [getattr(BOOKS, name) for name in same] == [getattr(QUOTES, name) for name in same]
