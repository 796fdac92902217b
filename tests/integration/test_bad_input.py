"""Whatever comes: each bad record becomes one dead letter with its reason and place, and the stream goes on."""

import base64
import hashlib
import time

import msgspec
import pytest
from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from msgspec.structs import replace

from tests.engine.fetched import NoText
from tests.integration.running import all_final, feed, put, read, running, tallies
from tickertape.schemas.heartbeat import HEADER
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import BrokerError

pytestmark = pytest.mark.kafka

T = 1_723_161_255_000


def trade(**changes: object) -> bytes:
    fields = {"symbol": "BTC-USDT", "source": "binance", "id": 1, "time_ms": T, "price": 100.0, "quantity": 1.0}
    return msgspec.json.encode(fields | {"side": "buy", "received_ms": T} | changes)


HUGE = b'{"symbol":"' + b"x" * (10 << 20) + b'"}'
BAD: list[tuple[bytes | None, tuple[tuple[str, bytes], ...], str]] = [
    (b"\xff\xfe nonsense", (), "not JSON"),
    (b'{"symbol":"BTC-USDT"', (), "not JSON"),
    (b"[1, 2, 3]", (), "invalid record"),
    (b'{"stream":"btcusdt@trade"}', (), "invalid record: Object missing required field `symbol`"),
    (trade().replace(b"100.0", b"NaN"), (), "not JSON"),
    (trade(price=-1.0), (), "invalid record: Expected `float` > 0.0 - at `$.price`"),
    (trade(price=0.0), (), "invalid record: Expected `float` > 0.0 - at `$.price`"),
    (trade().replace(b"100.0", b"1e999"), (), "invalid record: Number out of range - at `$.price`"),
    (trade(time_ms=17), (), "invalid record: Expected `int` >= 946684800000 - at `$.time_ms`"),
    (trade(time_ms=T + 5001), (), "event time is 5001 ms past its receipt, and skew_ms is 5000"),
    (trade(time_ms=int(time.time() * 1000) + 86_400_000, received_ms=0), (), "past its receipt"),
    (trade(side="both"), (), "invalid record: Invalid enum value 'both' - at `$.side`"),
    (trade(id=2**63), (), "invalid record: Expected `int` <= 9223372036854775807 - at `$.id`"),
    (trade(source="all"), (), "`all` is reserved for all sources together"),
    (HUGE, (), "invalid record"),
    (None, (), "null value without a heartbeat header"),
    (None, ((HEADER, b"tick"),), "the heartbeat header can't be read"),
    (b'{"x":' * 100_000, (), "not JSON"),
]


def test_each_bad_record_is_one_dead_letter(own_kafka: str) -> None:
    good = [
        Trade(
            symbol="BTC-USDT",
            source="binance",
            id=i,
            time_ms=T + i,
            price=100.0,
            quantity=1.0,
            side="buy",
            received_ms=T + i,
        )
        for i in range(20)
    ]
    with running(own_kafka, workers=1, partitions={"trades": 1}) as (settings, _):
        put(own_kafka, [(0, value, headers) for value, headers, _ in BAD])
        feed(own_kafka, good)
        held = all_final(settings)
        total = tallies(settings)
        letters = {
            letter["offset"]: letter
            for letter in map(msgspec.json.decode, (v for _, v in read(own_kafka, "dead-letters")))
        }
    assert sorted(letters) == list(range(len(BAD)))
    for offset, (value, _, reason) in enumerate(BAD):
        letter = letters[offset]
        assert (letter["topic"], letter["partition"]) == ("trades", 0)
        assert reason in letter["reason"]
        whole = value or b""
        assert base64.b64decode(letter["value"]) == whole[: 64 << 10]
        assert letter["size_bytes"] == len(whole)
        assert letter["sha256"] == (hashlib.sha256(whole).hexdigest() if len(whole) > 64 << 10 else "")
    # A heartbeat to open the lane, and one to close it.
    assert (total["rejected"], total["counted"], total["heartbeats"]) == (len(BAD), 20, 2)
    assert held[f"BTC-USDT|binance|1s|{T}"].count == 20


def test_a_header_whose_key_is_no_text_stops_nothing(own_kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    no_text = ((NoText("key"), b"1"),)
    first = msgspec.json.decode(trade(id=30, time_ms=T + 30), type=Trade)
    good = [replace(first, id=i, time_ms=T + i) for i in range(31, 40)]
    with running(own_kafka, workers=1, partitions={"trades": 1}) as (settings, _):
        with monkeypatch.context() as patch:
            patch.setattr(message_accumulator, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
            put(own_kafka, [(0, msgspec.json.encode(first), no_text), (0, None, no_text)])
        feed(own_kafka, good)
        held = all_final(settings)
        total = tallies(settings)
        ((key, letter),) = read(own_kafka, "dead-letters")
        with pytest.raises(BrokerError, match="trades: a record has a header whose key isn't UTF-8"):
            list(read(own_kafka, "trades"))
    assert key == b"trades|0|1"
    assert msgspec.json.decode(letter)["reason"] == "null value without a heartbeat header"
    assert (total["rejected"], total["counted"], total["heartbeats"]) == (1, 10, 2)
    assert held[f"BTC-USDT|binance|1s|{T}"].count == 10
