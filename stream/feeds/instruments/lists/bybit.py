"""Bybit v5: ``instruments-info`` of the categories spot and linear."""

import msgspec
from msgspec import Raw, Struct, field

from tickertape.schemas.instrument import Instrument, Kind, Status
from tickertape.stream.feeds.instruments.lists.entry import Page, instrument, instruments, plain, status_of

_STATUS: dict[str, Status] = {
    "Trading": "trading",
    "PreLaunch": "pending",
    "Delivering": "closed",
    "Closed": "closed",
}
# Spot has no type of contract. Inverse contracts and options are other categories, with other units.
_KINDS: dict[str, Kind] = {"": "spot", "LinearPerpetual": "perpetual", "LinearFutures": "future"}


class _Prices(Struct, frozen=True, rename="camel"):
    tick_size: str = ""


class _Lots(Struct, frozen=True, rename="camel"):
    base_precision: str = ""
    qty_step: str = ""


class _Symbol(Struct, rename="camel"):
    symbol: str
    base_coin: str
    quote_coin: str
    status: str = ""
    contract_type: str = ""
    delivery_time: str = "0"
    price_filter: _Prices = _Prices()
    lot_size_filter: _Lots = _Lots()


class _Result(Struct, frozen=True, rename="camel"):
    entries: list[Raw] = field(name="list", default_factory=list)
    next_page_cursor: str = ""


class _Answer(Struct, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: _Result = _Result()


_answer = msgspec.json.Decoder(_Answer).decode
_symbol = msgspec.json.Decoder(_Symbol).decode


def category(source: str, body: bytes) -> Page:
    """Read a page of ``/v5/market/instruments-info``.

    Raises
    ------
    ValueError
        The answer is something else, or an error.
    """
    answer = _answer(body)
    if answer.ret_code != 0:
        raise ValueError(f"it answers {answer.ret_code} {answer.ret_msg[:200]}")

    def read(entry: Raw) -> Instrument | None:
        one = _symbol(entry)
        kind = _KINDS.get(one.contract_type)
        if kind is None:
            return None
        return instrument(
            source,
            one.symbol,
            (one.base_coin, one.quote_coin),
            kind,
            status_of(one.status, _STATUS),
            separator="-",
            source_status=one.status,
            tick=plain(one.price_filter.tick_size),
            step=plain(one.lot_size_filter.qty_step or one.lot_size_filter.base_precision),
            expires_ms=int(one.delivery_time) if kind == "future" else None,
        )

    return Page(instruments(source, answer.result.entries, read), answer.result.next_page_cursor)
