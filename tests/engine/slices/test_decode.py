"""What is wrong with a record is said in one line, and costs no other record."""

import json
from typing import Literal

import numpy as np
import pytest

from tests.engine.blocks import HOUR_MS, TICKS, Log, Tick, values
from tickertape.schemas.heartbeat import Heartbeat
from tickertape.schemas.trade import Trade
from tickertape.stream.engine.core.block import Headers
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.slices.decode import CHUNK, Decoded, Decoder

TRADE = {
    "symbol": "A",
    "source": "s",
    "id": 1,
    "time_ms": HOUR_MS,
    "price": 2.5,
    "quantity": 1.0,
    "side": "buy",
    "received_ms": HOUR_MS + 9,
}


def prices(trades: list[Trade]) -> Columns:
    return {"price": np.array([trade.price for trade in trades], np.float64)}


def trade(**fields: object) -> bytes:
    return json.dumps(TRADE | fields).encode()


def literally(old: bytes, new: bytes) -> bytes:
    """Return the good trade with some of its bytes replaced, for what `json` would not write."""
    text = trade()
    assert old in text
    return text.replace(old, new)


def decode(*records: bytes | tuple[None, Headers]) -> Decoded:
    log = Log()
    for record in records:
        log.raw(*(record if isinstance(record, tuple) else (record,)))
    return Decoder(Trade, prices).decode(log.block())


def test_columns_come_in_offset_order_with_codes_for_names() -> None:
    decoder = Decoder(Tick, values)
    log = Log().tick(0, 4, 1.5, source="x", symbol="B").beat(3).tick(7, 2, 0.5, source="y", symbol="B", received=0)
    got = decoder.decode(log.block())
    assert got.at.tolist() == [0, 2]
    assert [decoder.sources.names[code] for code in got.source] == ["x", "y"]
    assert [decoder.symbols.names[code] for code in got.symbol] == ["B", "B"]
    assert got.id.tolist() == [4, 2]
    assert got.time_ms.tolist() == [HOUR_MS, HOUR_MS + 7]
    assert got.received_ms.tolist() == [HOUR_MS, 0]
    assert got.columns["value"].tolist() == [1.5, 0.5]
    assert got.heartbeats == [(1, Heartbeat("s", HOUR_MS + 3))]
    assert got.rejects == []


BAD = {
    "nothing": (b"", "not JSON: Input data was truncated"),
    "not JSON": (b"{oops", "not JSON: JSON is malformed"),
    "cut short": (trade()[:-1], "not JSON: Input data was truncated"),
    "two records": (trade() + trade(), "not JSON: JSON is malformed: trailing characters"),
    "an array": (b"[1]", "invalid record: Expected `object`, got `array`"),
    "a JSON null": (b"null", "invalid record: Expected `object`, got `null`"),
    "a field missing": (b'{"symbol":"A"}', "invalid record: Object missing required field"),
    "a price as text": (trade(price="2.5"), "invalid record: Expected `float`, got `str` - at `$.price`"),
    "NaN": (literally(b"2.5", b"NaN"), "not JSON: JSON is malformed"),
    "infinity": (literally(b"2.5", b"Infinity"), "not JSON: JSON is malformed"),
    "a price past floats": (literally(b"2.5", b"1e999"), "invalid record: Number out of range - at `$.price`"),
    "an integer past floats": (literally(b"2.5", b"1" * 400), "invalid record: Number out of range - at `$.price`"),
    "a price that rounds to 0": (literally(b"2.5", b"1e-999"), "invalid record: Expected `float` > 0.0 - at `$.price`"),
    "no price": (trade(price=0), "invalid record: Expected `float` > 0.0 - at `$.price`"),
    "a negative price": (trade(price=-1), "invalid record: Expected `float` > 0.0 - at `$.price`"),
    "no quantity": (trade(quantity=0.0), "invalid record: Expected `float` > 0.0 - at `$.quantity`"),
    "seconds": (trade(time_ms=HOUR_MS // 1000), "invalid record: Expected `int` >= 946684800000 - at `$.time_ms`"),
    "microseconds": (trade(time_ms=HOUR_MS * 1000), "invalid record: Expected `int` <= 4102444800000 - at `$.time_ms`"),
    "a fraction of a ms": (
        trade(time_ms=HOUR_MS + 0.5),
        "invalid record: Expected `int`, got `float` - at `$.time_ms`",
    ),
    "an id past int64": (trade(id=2**63), "invalid record: Expected `int` <= 9223372036854775807 - at `$.id`"),
    "an id past uint64": (trade(id=2**64), "invalid record: Expected `int` <= 9223372036854775807 - at `$.id`"),
    "a negative id": (trade(id=-1), "invalid record: Expected `int` >= 0 - at `$.id`"),
    "no symbol": (trade(symbol=""), "invalid record: Expected `str` of length >= 1 - at `$.symbol`"),
    "a long symbol": (trade(symbol="A" * 65), "invalid record: Expected `str` of length <= 64 - at `$.symbol`"),
    "a long source": (trade(source="s" * 25), "invalid record: Expected `str` of length <= 24 - at `$.source`"),
    "a source named all": (trade(source="all"), "`all` is reserved for all sources together"),
    "a symbol named all": (trade(symbol="all"), "`all` is reserved for all sources together"),
    "a source with a |": (trade(source="a|b"), "'a|b' has a `|`, which separates the names in a result's key"),
    "a symbol with a |": (trade(symbol="A|s"), "'A|s' has a `|`, which separates the names in a result's key"),
    "a source with a control character": (trade(source="a\n"), r"'a\n' has unprintable characters"),
    "a price past all sums": (trade(price=1.1e18), "invalid record: Expected `float` <= 1e+18 - at `$.price`"),
    "half a surrogate": (literally(b'"A"', rb'"\ud800"'), "not JSON: JSON is malformed"),
    "deep, of another shape": (b"[" * 100_000, "invalid record: Expected `object`, got `array`"),
    "deep inside": (literally(b"{", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b","), "not JSON: maximum recursion"),
    "large": (b"x" * 10_000_000, "not JSON: JSON is malformed"),
}


@pytest.mark.parametrize(("value", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_record_is_one_reject_with_its_place(value: bytes, reason: str) -> None:
    got = decode(trade(id=1), value, trade(id=3))
    ((place, said),) = got.rejects
    assert place == 1
    assert said.startswith(reason)
    assert got.at.tolist() == [0, 2]
    assert got.id.tolist() == [1, 3]


NULLS: dict[str, tuple[Headers, str]] = {
    "no header": ((), "null value without a heartbeat header"),
    "another header": ((("trace", b"1"),), "null value without a heartbeat header"),
    "not JSON": ((("heartbeat", b"{"),), "the heartbeat header can't be read: Input data was truncated"),
    "nothing in it": ((("heartbeat", b""),), "the heartbeat header can't be read: Input data was truncated"),
    "another shape": ((("heartbeat", b'{"source":"s"}'),), "the heartbeat header can't be read: Object missing"),
    "seconds": ((("heartbeat", b'{"source":"s","time_ms":1}'),), "heartbeat time out of range: 1 ms"),
    "an integer past int64": (
        (("heartbeat", b'{"source":"s","time_ms":1%s}' % (b"0" * 30)),),
        "heartbeat time out of range",
    ),
    "no source": (
        (("heartbeat", b'{"source":"","time_ms":1}'),),
        "the heartbeat header can't be read: Expected `str` of",
    ),
    "a source past all commits": (
        (("heartbeat", b'{"source":"%s","time_ms":1}' % (b"s" * 5000)),),
        "the heartbeat header can't be read: Expected `str` of length <= 24",
    ),
    "a source named all": (
        (("heartbeat", b'{"source":"all","time_ms":1}'),),
        "heartbeat with a bad source: `all` is reserved",
    ),
    "a source with a |": (
        (("heartbeat", b'{"source":"a|b","time_ms":1}'),),
        "heartbeat with a bad source: 'a|b' has a `|`",
    ),
    "not UTF-8": ((("heartbeat", b'{"source":"\xff","time_ms":1}'),), "the heartbeat header can't be read"),
    "deep": (
        (("heartbeat", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),),
        "the heartbeat header can't be read",
    ),
}


@pytest.mark.parametrize(("headers", "reason"), NULLS.values(), ids=NULLS.keys())
def test_a_null_that_is_no_heartbeat_is_one_reject_with_its_place(headers: Headers, reason: str) -> None:
    got = decode(trade(id=1), (None, headers), trade(id=3))
    ((place, said),) = got.rejects
    assert place == 1
    assert said.startswith(reason)
    assert got.id.tolist() == [1, 3]


def test_bytes_that_are_not_utf8_are_said_to_be_so() -> None:
    ((place, said),) = decode(trade(), literally(b'"A"', b'"\xff"')).rejects
    assert place == 1
    assert said.startswith("not JSON: 'utf-8' codec can't decode")


def test_rejects_of_every_kind_in_one_block() -> None:
    got = decode(b"{", trade(id=1), (None, ()), trade(price=0), trade(id=4))
    assert sorted(place for place, _ in got.rejects) == [0, 2, 3]
    assert got.at.tolist() == [1, 4]


def test_a_record_that_the_agent_fails_on_is_one_reject() -> None:
    def picky(ticks: list[Tick]) -> Columns:
        return {"value": np.array([1 / (tick.value - 2) for tick in ticks], np.float64)}

    log = Log().tick(0, 1, 1.0).tick(0, 2, 2.0).tick(0, 3, 3.0)
    got = Decoder(Tick, picky).decode(log.block())
    assert got.rejects == [(1, "the agent failed on this record: ZeroDivisionError('float division by zero')")]
    assert got.at.tolist() == [0, 2]
    assert got.columns["value"].tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("bad", [0, CHUNK - 1, CHUNK, 2 * CHUNK])
def test_records_are_read_in_chunks_and_a_bad_one_costs_its_chunk_nothing(bad: int) -> None:
    log = Log()
    for i in range(2 * CHUNK + 1):
        if i == bad:
            log.raw(b"{")
        else:
            log.tick(i, i, i + 1.0)
    got = Decoder(Tick, values).decode(log.block())
    good = [i for i in range(2 * CHUNK + 1) if i != bad]
    assert [place for place, _ in got.rejects] == [bad]
    assert got.at.tolist() == got.id.tolist() == good
    assert got.columns["value"].tolist() == [i + 1.0 for i in good]


def test_a_block_without_records() -> None:
    got = Decoder(Tick, TICKS.columns).decode(Log().hole(3).block())
    assert len(got) == 0
    assert got.columns["value"].tolist() == []


class Listed(Tick, kw_only=True):
    side: Literal["buy", "sell"] | None = "sell"
    level: int | None = 3


def test_where_a_nullable_field_is_absent_its_default_is_given() -> None:
    decoder = Decoder(
        Listed,
        lambda records: {
            "level": records.column("level"),
            "levelled": records.given("level"),
            "sided": records.given("side"),
            "sold": records.equals("side", "sell"),
        },
    )
    log = Log().tick(0).tick(1, side=None, level=None).tick(2, side="buy", level=4)
    for _ in range(2):  # names are known from the second time on
        got = decoder.decode(log.block()).columns
        assert got["level"].tolist() == [3, 0, 4]
        assert got["levelled"].tolist() == [True, False, True]
        assert got["sided"].tolist() == [True, False, True]
        assert got["sold"].tolist() == [True, False, False]


def test_columns_are_arrays_of_their_own() -> None:
    kept = np.array([1.0, 2.0])
    decoder = Decoder(Tick, lambda records: {"value": kept[: len(records)], "listed": [7] * len(records)})  # type: ignore[dict-item]  # a user's mistake that works
    log = Log().tick(0).tick(1)
    for _ in range(2):  # names are known from the second time on
        got = decoder.decode(log.block())
        assert got.columns["listed"].tolist() == [7, 7]
        got.columns["value"] += got.id
        got.id[:] = got.time_ms[:] = 0
        assert kept.tolist() == [1.0, 2.0]


def test_records_may_be_asked_for_one_by_one() -> None:
    decoder = Decoder(
        Tick, lambda records: {"value": np.array([records[i].value for i in range(len(records))], np.float64)}
    )
    log = Log().tick(0, value=1.5).tick(1, value=2.5)
    for _ in range(3):
        assert decoder.decode(log.block()).columns["value"].tolist() == [1.5, 2.5]
