"""Binance USD-M futures, perpetuals: trades, quotes, books, figures and liquidations."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import TimeMs
from tickertape.schemas.liquidation import Liquidation
from tickertape.schemas.perpetual import Perpetual
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import making, wire
from tickertape.stream.feeds.adapt.exchange import Channel, ExchangeSettings
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.names import Names
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.page import Get
from tickertape.stream.feeds.exchanges.binance import Binance, envelope
from tickertape.stream.feeds.exchanges.feeding import feed_of, recorded
from tickertape.stream.feeds.figures import binance as figures
from tickertape.stream.feeds.history.binance import USDM as HISTORY
from tickertape.stream.feeds.hosts import known
from tickertape.stream.feeds.snapshots.binance import USDM


class _Mark(Struct, rename={"mark": "p", "index": "i", "funding_rate": "r", "next": "T"}):
    s: str
    E: TimeMs
    mark: str = ""
    index: str = ""
    funding_rate: str = ""
    # Zero for contracts that are delivered.
    next: int = 0
    next_funding_ms: str = ""


class _Order(Struct):
    s: str
    S: Literal["BUY", "SELL"]
    ap: wire.Amount
    z: wire.Amount
    T: TimeMs


class _Forced(Struct):
    o: _Order


_mark = msgspec.json.Decoder(_Mark).decode
_forced = msgspec.json.Decoder(_Forced, strict=False).decode


class BinanceUsdm(Binance):
    """Binance's perpetuals that are settled in USDT or USDC; see `Exchange`.

    Each channel has a route of its own. On the other one, Binance would accept it and say nothing.
    """

    setting = "TICKERTAPE_BINANCEUSDM_URL"
    limits = known.BINANCE_USDM
    histories: ClassVar = {"trades": HISTORY}
    snapshots = USDM
    channels: ClassVar = {
        # There are no streams of single trades.
        "trades": (Channel("aggTrade", Trade, route=1),),
        "quotes": (Channel("bookTicker", Quote),),
        "books": (Channel("depth@100ms", Change),),
        "perpetuals": (Channel("markPrice@1s", Perpetual, route=1),),
        "liquidations": (Channel("forceOrder", Liquidation, route=1),),
    }

    def __init__(self, settings: "BinanceUsdmSettings", symbols: Sequence[str], names: Names, name: str) -> None:
        super().__init__(settings, symbols, names, name)
        self.poll_seconds = figures.POLL_SECONDS if Perpetual in self.kinds else 0.0
        self._figures = figures.Figures()

    async def poll(self, get: Get, symbol: str) -> Sequence[Event]:
        if not symbol.endswith("-PERP"):
            return ()
        url, name = self.settings.figures_url, self.names.theirs(symbol)
        return await self._figures.asked(get, url, name, symbol, self.name)

    def routes(self) -> Sequence[str]:
        return [f"{self.settings.url}/{route}/stream" for route in ("public", "market")]

    def normalise(self, frame: bytes, received_ms: int) -> Event | Change | Other:
        found, at = super().normalise(frame, received_ms), received_ms
        if not isinstance(found, Other):
            return found
        if found.kind == "markPrice":
            mark = _mark(envelope(frame).data)
            mark.next_funding_ms = str(mark.next) if mark.next else ""
            return making.perpetual_of(mark, self.names.ours(mark.s), self.name, mark.E, at)
        if found.kind == "forceOrder":
            order = _forced(envelope(frame).data).o
            if not (order.z and order.ap):
                # Nothing of it is filled yet.
                return found
            return making.liquidation_of(
                *(self.names.ours(order.s), self.name, order.T, at),
                *("buy" if order.S == "BUY" else "sell", order.z, order.ap),
                price_is="average",
                # The latest of each second.
                is_sample=True,
            )
        return found


class BinanceUsdmSettings(ExchangeSettings, frozen=True):
    """The settings of the feed.

    Attributes
    ----------
    figures_url
        The address at which open interest and intervals of funding are asked for.
    """

    url: str = "wss://fstream.binance.com"
    info_url: str = "https://fapi.binance.com/fapi/v1/exchangeInfo"
    figures_url: str = "https://fapi.binance.com/fapi/v1"


FEED = feed_of(
    "binanceusdm",
    "trades (aggregates) and quotes of Binance's USD-M perpetuals. A symbol is written as BTC-USDT-PERP.",
    BinanceUsdm,
    BinanceUsdmSettings,
)
FORMAT = recorded("binanceusdm", BinanceUsdm, BinanceUsdmSettings(), kinds=(Trade, Quote, Perpetual, Liquidation))
