"""Alpaca's messages, written by hand from its documents, and what they tell of."""

import json
from typing import Any

import pytest

from tests.feeds.exchanges.playing import play
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.connection import Secret
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.registry import settings_of
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.define.stream import Answer
from tickertape.stream.feeds.exchanges.alpaca import FEED, AlpacaSettings

RECEIVED_MS = 1_700_000_000_500
TRADE = (
    '{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,"s":1,"t":"2023-11-14T22:13:20.208123456Z","c":["@","I"],"z":"C"}'
)
QUOTE = (
    '{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":1,"ax":"Q","ap":87.68,"as":4,"t":"2023-11-14T22:13:20.335689322Z",'
    '"c":["R"],"z":"C"}'
)
CORRECTION = (
    '{"T":"c","S":"EEM","x":"M","oi":52983525033527,"op":39.1582,"os":440000,"oc":["7"],"ci":52983525034326,'
    '"cp":39.1809,"cs":440000,"cc":["7"],"z":"B","t":"2023-11-14T22:13:20.52Z"}'
)
CANCEL = '{"T":"x","S":"GOOGL","i":465,"x":"D","p":123.5,"s":100,"a":"C","z":"C","t":"2023-11-14T22:13:21Z"}'
HALT = (
    '{"T":"s","S":"AAPL","sc":"H","sm":"Trading Halt","rc":"T12","rm":"Trading Halted; For information requested '
    'by NASDAQ","t":"2023-11-14T22:13:22.052Z","z":"C"}'
)


def alpaca(url: str = "wss://x", symbols: tuple[str, ...] = ("AAPL", "AMD-USD"), **more: Any) -> Source:
    keys = {"key": Secret("k"), "secret": Secret("hush")} | more
    return FEED.connect(AlpacaSettings(url=url, **keys), symbols, "alpaca")


def normalise(*items: str) -> Any:
    return alpaca().normalise(f"[{','.join(items)}]".encode(), RECEIVED_MS)


def test_a_trade_has_no_side_and_an_id_of_its_tape_and_exchange() -> None:
    assert normalise(TRADE) == [
        Trade(
            symbol="AAPL-USD",
            source="alpaca",
            id="CD96921",
            time_ms=1_700_000_000_208,
            price=126.55,
            quantity=1.0,
            received_ms=RECEIVED_MS,
        )
    ]


def test_a_quote_has_its_time_in_ns_as_number() -> None:
    assert normalise(QUOTE) == [
        Quote(
            symbol="AMD-USD",
            source="alpaca",
            id=1_700_000_000_335_689_322,
            time_ms=1_700_000_000_335,
            bid=87.66,
            bid_quantity=1.0,
            ask=87.68,
            ask_quantity=4.0,
            received_ms=RECEIVED_MS,
        )
    ]
    (short,) = normalise(QUOTE.replace(".335689322Z", ".335Z"))
    assert short.id == 1_700_000_000_335_000_000
    assert normalise(QUOTE.replace("87.66", "0")) == [Other("empty book")]


def test_an_array_may_be_mixed() -> None:
    found = normalise(TRADE, CORRECTION, QUOTE)
    assert [type(event) for event in found] == [Trade, Other, Quote]
    # They are counted, each, and change no trade.
    assert normalise(CORRECTION, CANCEL, CANCEL) == [Other("correction"), Other("cancel"), Other("cancel")]
    assert normalise(HALT) == [Other("trading status")]
    assert normalise('{"T":"success","msg":"authenticated"}') == [Other("success")]
    assert normalise() == Other("nothing")


@pytest.mark.parametrize(
    ("was", "is_"),
    [
        ('"s":1', '"s":0'),
        ('"p":126.55', '"p":-126.55'),
        ('"i":96921', '"i":-1'),
        ('"AAPL"', '"A|PL"'),
        ("2023-11-14T22:13:20.208123456Z", "0001-01-01T00:00:00Z"),
        ("2023-11-14T22:13:20.208123456Z", "2023-11-14T22:13:20.208123456"),
        ("2023-11-14T22:13:20.208123456Z", "yesterday"),
    ],
)
def test_what_is_no_trade_is_refused(was: str, is_: str) -> None:
    assert was in TRADE
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says of it
        normalise(TRADE.replace(was, is_))


def test_answers_are_of_the_whole_request() -> None:
    source = alpaca()
    confirmed = b'[{"T":"subscription","trades":["AAPL"],"quotes":["AMD","AAPL"],"bars":[]}]'
    assert source.answer(confirmed) == Answer(confirmed=(("trades", "AAPL"), ("quotes", "AMD"), ("quotes", "AAPL")))
    refused = b'[{"T":"error","code":406,"msg":"connection limit exceeded"}]'
    assert source.answer(refused) == Answer(refused=(("", ""),), why="406 connection limit exceeded")
    assert source.answer(TRADE.encode()) is None


def test_a_key_is_needed_kept_secret_and_sent_over_tls_alone() -> None:
    with pytest.raises(ConfigError, match="set TICKERTAPE_ALPACA_KEY and TICKERTAPE_ALPACA_SECRET"):
        alpaca(secret=Secret())
    with pytest.raises(ConfigError, match="must begin with wss://, because a secret is sent there"):
        alpaca("ws://elsewhere")
    settings = settings_of(FEED, {"alpaca_key": "k", "alpaca_secret": "hush"})
    assert settings.secret.reveal() == "hush"
    assert "hush" not in repr(settings)


def test_it_logs_in_and_hears_an_exchange() -> None:
    def answers(request: Any) -> list[str]:
        if request["action"] == "auth":
            return ['[{"T":"success","msg":"authenticated"}]']
        return [json.dumps([{"T": "subscription", "trades": request["trades"], "quotes": request["quotes"]}])]

    requests, _, events = play(alpaca, answers, [f"[{TRADE},{CORRECTION},{QUOTE}]"], requests=2, events=2)
    assert requests == [
        {"action": "auth", "key": "k", "secret": "hush"},
        {"action": "subscribe", "trades": ["AAPL", "AMD"], "quotes": ["AAPL", "AMD"]},
    ]
    assert [(type(event), event.id) for event in events] == [
        (Trade, "CD96921"),
        (Quote, 1_700_000_000_335_689_322),
    ]
