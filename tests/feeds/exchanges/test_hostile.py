"""Whatever an exchange sends, it is valid events, something else, or refused: in bounded time."""

import json
import time
from collections.abc import Iterator
from copy import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feeds.exchanges import (
    test_alpaca,
    test_binance,
    test_binance_usdm,
    test_bybit,
    test_coinbase,
    test_coinbase_advanced,
    test_kraken,
    test_okx,
)
from tickertape.stream.feeds.adapt.exchange import Exchange
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.source import Source

_OKX, _SWAP = test_okx.okx(), test_okx.swap()
_LINEAR, _USDM = test_bybit.linear(), test_binance_usdm.usdm()
_BINANCE, _COINBASE = test_binance.binance(), test_coinbase.coinbase(symbols=("BTC-USD", "ETH-USD"))
_ADVANCED, _KRAKEN = test_coinbase_advanced.advanced(), test_kraken.kraken()
SAID: list[tuple[Source, bytes]] = [
    *(
        (_BINANCE, each)
        for each in (test_binance.SOLD, test_binance.AGGREGATE, test_binance.QUOTED, test_binance.DEPTH)
    ),
    *((_USDM, each) for each in (test_binance_usdm.BEST, test_binance_usdm.MARK, test_binance_usdm.FORCED)),
    *((_COINBASE, each) for each in (test_coinbase.MATCH, test_coinbase.TICKER)),
    *(
        (_ADVANCED, each)
        for each in (test_coinbase_advanced.TRADES, test_coinbase_advanced.TICKER, test_coinbase_advanced.BOOK)
    ),
    *((_KRAKEN, each) for each in (test_kraken.TRADES, test_kraken.TICKER, test_kraken.BOOK)),
    *((_LINEAR, each) for each in (test_bybit.TRADES, test_bybit.BEST, test_bybit.DELTA, test_bybit.TICKER)),
    (_LINEAR, test_bybit.LIQUIDATED),
    (_OKX, test_okx.pushed("trades-all", test_okx.TRADE)),
    (_OKX, test_okx.pushed("bbo-tbt", test_okx.BEST)),
    (_OKX, test_okx.pushed("books", test_okx.BOOK, action="update")),
    (_SWAP, test_okx.pushed("funding-rate", {"instId": "BTC-USDT-SWAP", "ts": "1700000000000", "fundingRate": "1"})),
]
_ALPACA = test_alpaca.alpaca()
SAID += [(_ALPACA, f"[{each}]".encode()) for each in (test_alpaca.TRADE, test_alpaca.QUOTE)]
EXACT: list[Source] = []
for one, said in [*SAID]:
    if isinstance(one, Exchange):
        EXACT.append(exact := copy(one))
        exact.exact = True
        SAID.append((exact, said))
_encode = msgspec.json.Encoder(decimal_format="number").encode
HOSTILE: list[Any] = [
    *(
        "",
        "0.-10000",
        "-1",
        "nan",
        "inf",
        "1e999",
        "-0",
        "1_0",
        " 1",
        "\uff11",
        "0x1",
        "1e-400",
        "1e-99999",
        "sNaN",
        "1e999999999",
        "1.2.3",
        ".",
        "1.",
        "9" * 60,
        "9" * 5000,
        "\x00",
        "\U0001f600",
    ),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
    *(0, -1, 2**63, 10**400, -(2**63), 1e308, True, None, [], {}, [[]], [["1"]], [["1", "-1"]], ["1", "1"]),
]


def check(source: Source, message: bytes) -> None:
    """Decode a message; what comes of it must be valid."""
    source.answer(message)
    source.leaves(message)
    try:
        found = source.normalise(message, test_okx.RECEIVED_MS)
    except (ValueError, RecursionError):
        return
    for event in found if isinstance(found, list) else [found]:
        if isinstance(event, Other):
            assert len(event.kind) <= 64
        else:
            # The bounds of all fields are looked at here, as whoever reads the topic does.
            again = msgspec.json.decode(_encode(event), type=type(event))
            assert again == event or source in EXACT


def places(message: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of each value in a message."""
    yield at
    for key in message if isinstance(message, dict) else range(len(message)) if isinstance(message, list) else ():
        yield from places(message[key], (*at, key))


def changed(message: Any, at: tuple[Any, ...], value: Any) -> Any:
    """Return a message with another value at a place."""
    if not at:
        return value
    copy = message.copy()
    copy[at[0]] = changed(message[at[0]], at[1:], value)
    return copy


@pytest.mark.parametrize(("source", "message"), SAID, ids=[f"{source.name}-{n}" for n, (source, _) in enumerate(SAID)])
def test_any_value_in_any_place_is_valid_or_refused(source: Source, message: bytes) -> None:
    said = json.loads(message)
    for at in places(said):
        for value in HOSTILE:
            check(source, json.dumps(changed(said, at, value)).encode())
            check(source, json.dumps(changed(said, at, value), ensure_ascii=False).encode())


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SAID), st.data())
def test_any_bytes_are_valid_or_refused(said: tuple[Source, bytes], data: st.DataObject) -> None:
    source, message = said
    first = data.draw(st.integers(0, len(message)))
    last = data.draw(st.integers(first, min(first + 20, len(message))))
    check(source, message[:first] + data.draw(st.binary(max_size=20)) + message[last:])


@pytest.mark.parametrize("what", ["9", "0." + "1" * 1000, "[", "x"])
@pytest.mark.parametrize("source", dict(SAID).items(), ids=lambda of: of[0].name)
def test_ten_megabytes_take_no_longer_than_others(source: tuple[Source, bytes], what: str) -> None:
    (exchange, message), much = source, what.encode() * (10_000_000 // len(what))
    cut = message.rindex(b":") + 1
    began = time.process_time()
    check(exchange, message[:cut] + much)
    check(exchange, message[:cut] + b'"' + much + b'"' + b"}" * 5)
    check(exchange, much)
    assert time.process_time() - began < 2.0
