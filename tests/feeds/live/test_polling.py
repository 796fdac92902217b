"""What Binance USD-M doesn't stream is asked for: a server that answers as its documents say, and is away at times."""

import asyncio
import json
from contextlib import aclosing

import pytest

from tests.feeds.exchange import Exchange, stays
from tests.feeds.history.test_by_time import serves
from tests.feeds.live.test_refilled import PATIENCE
from tests.feeds.rest import Rest, refuses
from tickertape.schemas.events import Event
from tickertape.schemas.perpetual import Perpetual
from tickertape.stream.feeds.exchanges import binance_usdm
from tickertape.stream.feeds.figures import binance as figures
from tickertape.stream.feeds.live.live import Live

T = 1_700_000_000_000
INTERVALS = [
    {"symbol": "ETHUSDT", "adjustedFundingRateCap": "0.025", "adjustedFundingRateFloor": "-0.025"}
    | {"fundingIntervalHours": 4, "disclaimer": False}
]


def interest(query: str) -> str:
    name = query.partition("symbol=")[2]
    return json.dumps({"openInterest": {"BTCUSDT": "10659.509", "ETHUSDT": "0"}[name], "symbol": name, "time": T})


def test_open_interest_and_the_interval_of_funding_are_asked_for(
    rest: Rest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(figures, "POLL_SECONDS", 0.2)
    # The list once; then each symbol in turn.
    rest.answers = [refuses(503), serves(lambda _: json.dumps(INTERVALS)), serves(interest)]
    exchange = Exchange(stays)

    async def scenario() -> list[Event]:
        heard: list[Event] = []
        async with exchange.open():
            url = f"ws://127.0.0.1:{exchange.port}"
            settings = binance_usdm.BinanceUsdmSettings(
                url=url, info_url="", figures_url=rest.url, channels="perpetuals"
            )
            source = binance_usdm.FEED.connect(settings, ["BTC-USDT-PERP", "ETH-USDT-PERP"], "binanceusdm")
            live = Live(source, PATIENCE, buffer_bytes=1 << 20)
            async with asyncio.timeout(20), aclosing(live.batches()) as batches:
                async for events in batches:
                    heard += events
                    if len(heard) >= 3:
                        break
        return heard

    heard = asyncio.run(scenario())
    found = {
        (one.symbol, one.time_ms, one.open_interest, one.open_interest_unit, one.funding_interval_hours)
        for one in heard
        if isinstance(one, Perpetual)
    }
    # BTCUSDT isn't in the list, so it has the usual interval.
    assert found == {("BTC-USDT-PERP", T, 10659.509, "base", 8.0), ("ETH-USDT-PERP", T, 0.0, "base", 4.0)}
    assert all(one.received_ms > T for one in heard)
    assert rest.asked[:3] == ["/list/fundingInfo", "/list/fundingInfo", "/list/openInterest?symbol=ETHUSDT"]
    assert "/list/fundingInfo" not in rest.asked[2:]
    assert "binanceusdm: BTC-USDT-PERP: its figures can't be had: " in caplog.text
    assert caplog.text.count("can't be had") == 1


def test_nothing_is_asked_for_where_figures_are_not_wanted() -> None:
    def poll_seconds(channels: str) -> float:
        settings = binance_usdm.BinanceUsdmSettings(info_url="", channels=channels)
        return binance_usdm.FEED.connect(settings, ["BTC-USDT-PERP"], "binanceusdm").poll_seconds

    assert poll_seconds("trades quotes") == 0.0
    assert poll_seconds("trades perpetuals") == 60.0
    assert binance_usdm.BinanceUsdmSettings().figures_url == "https://fapi.binance.com/fapi/v1"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        '{"openInterest": "-1", "symbol": "BTCUSDT", "time": 1700000000000}',
        '{"openInterest": "nan", "symbol": "BTCUSDT", "time": 1700000000000}',
        '{"openInterest": "1", "symbol": "BTCUSDT", "time": 1700000000}',
    ],
)
def test_what_is_no_figure_is_refused(body: str) -> None:
    source = binance_usdm.FEED.connect(
        binance_usdm.BinanceUsdmSettings(info_url="", channels="perpetuals"), ["BTC-USDT-PERP"], "binanceusdm"
    )

    async def get(url: str, _: float) -> bytes:
        return b"[]" if url.endswith("fundingInfo") else body.encode()

    with pytest.raises(ValueError, match=r"."):
        asyncio.run(source.poll(get, "BTC-USDT-PERP"))
