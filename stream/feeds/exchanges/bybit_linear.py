"""Bybit v5, linear perpetuals: what spot has, their figures, and liquidations."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import Positive, TimeMs
from tickertape.schemas.liquidation import Liquidation
from tickertape.schemas.perpetual import Perpetual
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import making
from tickertape.stream.feeds.adapt.exchange import Channel
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.exchanges.bybit import Bybit, BybitSettings, message
from tickertape.stream.feeds.exchanges.feeding import feed_of, recorded

_FIGURES = {
    "mark": "markPrice",
    "index": "indexPrice",
    "funding_rate": "fundingRate",
    "funding_interval_hours": "fundingIntervalHour",
    "next_funding_ms": "nextFundingTime",
    "open_interest": "openInterest",
}


class _Ticker(Struct, rename=_FIGURES):
    symbol: str
    mark: str = ""
    index: str = ""
    funding_rate: str = ""
    funding_interval_hours: str = ""
    next_funding_ms: str = ""
    open_interest: str = ""


class _Liquidation(Struct):
    s: str
    T: TimeMs
    S: Literal["Buy", "Sell"]
    v: Positive
    p: Positive


_ticker = msgspec.json.Decoder(_Ticker).decode
_liquidations = msgspec.json.Decoder(list[_Liquidation], strict=False).decode


class BybitLinear(Bybit):
    """Bybit's perpetuals that are settled in USDT or USDC; see `Exchange`."""

    setting = "TICKERTAPE_BYBITLINEAR_URL"

    def words(self) -> Mapping[str, Sequence[Channel]]:
        return {
            **super().words(),
            "perpetuals": (Channel("tickers", Perpetual),),
            "liquidations": (Channel("allLiquidation", Liquidation),),
        }

    def normalise(self, frame: bytes, received_ms: int) -> Event | Change | list[Event | Change] | Other:
        found, at = super().normalise(frame, received_ms), received_ms
        if not isinstance(found, Other) or found.kind not in ("tickers", "allLiquidation"):
            return found
        said = message(frame)
        if found.kind == "tickers":
            # Only what has changed is in it.
            raw = _ticker(said.data)
            return making.perpetual_of(raw, self.names.ours(raw.symbol), self.name, said.ts or at, at)
        return [
            making.liquidation_of(
                *(self.names.ours(raw.s), self.name, raw.T, at, "sell" if raw.S == "Buy" else "buy", raw.v, raw.p),
                price_is="bankruptcy",
                is_sample=False,
            )
            # The side is that of the position.
            for raw in _liquidations(said.data)
        ]


class BybitLinearSettings(BybitSettings, frozen=True):
    """The settings of the feed. A book may have 50, 200 or 1000 levels."""

    url: str = "wss://stream.bybit.com/v5/public/linear"
    info_url: str = "https://api.bybit.com/v5/market/instruments-info?category=linear"


FEED = feed_of(
    "bybitlinear",
    "trades and quotes of Bybit's linear perpetuals. A symbol is written as BTC-USDT-PERP.",
    BybitLinear,
    BybitLinearSettings,
)
FORMAT = recorded("bybitlinear", BybitLinear, BybitLinearSettings(), kinds=(Trade, Quote, Perpetual, Liquidation))
