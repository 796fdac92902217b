"""OKX v5, perpetual swaps: what spot has, their figures, and liquidations."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import Positive, TimeMs
from tickertape.schemas.liquidation import Liquidation
from tickertape.schemas.perpetual import Perpetual
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import making, wire
from tickertape.stream.feeds.adapt.exchange import Channel
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.stream import Stream
from tickertape.stream.feeds.exchanges.feeding import feed_of, recorded
from tickertape.stream.feeds.exchanges.okx import Okx, OkxSettings, message

HOUR_MS = 3_600_000
_FIGURES = {
    "name": "instId",
    "mark": "markPx",
    "index": "idxPx",
    "funding_rate": "fundingRate",
    "next_funding_ms": "fundingTime",
    "next_but_one_ms": "nextFundingTime",
    # `oi` is in contracts.
    "open_interest": "oiCcy",
}


class _Figures(Struct, rename=_FIGURES):
    name: str
    ts: TimeMs
    mark: str = ""
    index: str = ""
    funding_rate: str = ""
    next_funding_ms: str = ""
    next_but_one_ms: str = ""
    open_interest: str = ""
    funding_interval_hours: str = ""


class _Detail(Struct, rename="camel"):
    side: wire.Side
    sz: Positive
    bk_px: Positive
    ts: TimeMs


class _Liquidated(Struct, rename="camel"):
    inst_id: str
    details: list[_Detail]


_figures = msgspec.json.Decoder(list[_Figures], strict=False).decode
_liquidated = msgspec.json.Decoder(list[_Liquidated], strict=False).decode


class OkxSwap(Okx):
    """OKX's perpetual swaps; see `Exchange`. Their quantities are contracts, which become the base currency."""

    setting = "TICKERTAPE_OKXSWAP_URL"

    def words(self) -> Mapping[str, Sequence[Channel]]:
        own = [Channel(name, Perpetual) for name in ("mark-price", "funding-rate", "open-interest")]
        return {
            **super().words(),
            "perpetuals": (*own, Channel("index-tickers", Perpetual, cut="-SWAP")),
            "liquidations": (Channel("liquidation-orders", Liquidation),),
        }

    def argument(self, stream: Stream) -> dict[str, str]:
        if stream.channel == "liquidation-orders":
            # They come for all swaps together.
            return {"channel": stream.channel, "instType": "SWAP"}
        return super().argument(stream)

    def normalise(self, frame: bytes, received_ms: int) -> Event | Change | list[Event | Change] | Other:
        found = super().normalise(frame, received_ms)
        if not isinstance(found, Other) or not frame.startswith(b"{"):
            return found
        said = message(frame)
        if said.event:
            return found
        if found.kind == "liquidation-orders":
            return self._liquidations(said.data, received_ms) or found
        if found.kind in ("mark-price", "funding-rate", "open-interest", "index-tickers"):
            figures = [self._perpetual(raw, received_ms) for raw in _figures(said.data)]
            return [figure for figure in figures if not isinstance(figure, Other)] or found
        return found

    def _perpetual(self, raw: _Figures, at: int) -> Perpetual | Other:
        if raw.next_funding_ms and raw.next_but_one_ms:
            raw.funding_interval_hours = repr((int(raw.next_but_one_ms) - int(raw.next_funding_ms)) / HOUR_MS)
        # An index has the name of its spot pair.
        name = f"{raw.name.removesuffix('-SWAP')}-SWAP"
        return making.perpetual_of(raw, self.names.ours(name), self.name, raw.ts, at)

    def _liquidations(self, data: msgspec.Raw, at: int) -> list[Event | Change]:
        return [
            making.liquidation_of(
                *(self.names.ours(raw.inst_id), self.name, one.ts, at, one.side),
                *(float(wire.in_base(one.sz, self.names.base_per_unit(raw.inst_id))), one.bk_px),
                price_is="bankruptcy",
                is_sample=True,
            )
            for raw in _liquidated(data)
            if raw.inst_id in self.theirs
            for one in raw.details
        ]


class OkxSwapSettings(OkxSettings, frozen=True):
    """The settings of the feed."""

    info_url: str = "https://www.okx.com/api/v5/public/instruments?instType=SWAP"


FEED = feed_of(
    "okxswap",
    "trades and quotes of OKX's perpetual swaps. A symbol is written as BTC-USDT-PERP.",
    OkxSwap,
    OkxSwapSettings,
)
FORMAT = recorded("okxswap", OkxSwap, OkxSwapSettings(), kinds=(Trade, Quote, Perpetual, Liquidation))
