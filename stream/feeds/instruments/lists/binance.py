"""Binance: ``exchangeInfo`` of the spot market and of USD-M futures."""

import msgspec
from msgspec import Raw, Struct

from tickertape.schemas.instrument import Instrument, Kind, Status
from tickertape.stream.feeds.instruments.lists.entry import Page, instrument, instruments, plain, status_of

_STATUS: dict[str, Status] = {
    "TRADING": "trading",
    "CANCEL_ONLY": "halted",
    "HALT": "halted",
    "BREAK": "halted",
    "AUCTION_MATCH": "halted",
    "END_OF_DAY": "halted",
    "POST_TRADING": "halted",
    "TRADING_HALT": "halted",
    "TRADING_CANCEL_ONLY": "halted",
    "PRE_TRADING": "pending",
    "PENDING_TRADING": "pending",
    "PRE_DELIVERING": "limited",
    "DELIVERING": "closed",
    "DELIVERED": "closed",
    "PRE_SETTLE": "limited",
    "SETTLING": "closed",
    "CLOSE": "closed",
}


class _Filter(Struct, rename="camel"):
    filter_type: str = ""
    tick_size: str = ""
    step_size: str = ""


class _Symbol(Struct, rename="camel"):
    symbol: str
    base_asset: str
    quote_asset: str
    status: str = ""
    filters: list[_Filter] = []
    contract_type: str = ""
    delivery_date: int = 0


class _Info(Struct):
    symbols: list[Raw]


_info = msgspec.json.Decoder(_Info).decode
_symbol = msgspec.json.Decoder(_Symbol).decode


def spot(source: str, body: bytes) -> Page:
    """Read ``/api/v3/exchangeInfo``.

    Raises
    ------
    ValueError
        The answer is something else.
    """
    return Page(instruments(source, _info(body).symbols, lambda entry: _listed(source, _symbol(entry), "spot")))


def usdm(source: str, body: bytes) -> Page:
    """Read ``/fapi/v1/exchangeInfo``: perpetuals, also of shares and metals, and futures.

    Raises
    ------
    ValueError
        The answer is something else.
    """

    def read(entry: Raw) -> Instrument | None:
        one = _symbol(entry)
        if "PERPETUAL" in one.contract_type:
            return _listed(source, one, "perpetual")
        if "QUARTER" in one.contract_type or "MONTH" in one.contract_type:
            return _listed(source, one, "future")
        return None

    return Page(instruments(source, _info(body).symbols, read))


def _listed(source: str, one: _Symbol, kind: Kind) -> Instrument:
    filters = {some.filter_type: some for some in one.filters}
    return instrument(
        source,
        one.symbol,
        (one.base_asset, one.quote_asset),
        kind,
        status_of(one.status, _STATUS),
        source_status=one.status,
        tick=plain(filters.get("PRICE_FILTER", _Filter()).tick_size),
        step=plain(filters.get("LOT_SIZE", _Filter()).step_size),
        expires_ms=one.delivery_date if kind == "future" else None,
    )
