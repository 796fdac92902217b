"""Coinbase: ``/products`` of Exchange, and the public ``/market/products`` of Advanced Trade."""

import msgspec
from msgspec import Raw, Struct, structs

from tickertape.schemas.instrument import Instrument, Status
from tickertape.stream.feeds.instruments.lists.entry import Page, instrument, instruments, is_name, plain

_STATUS: dict[str, Status] = {
    "online": "trading",
    "offline": "halted",
    "internal": "halted",
    "delisted": "closed",
}
_LIMITS = ("auction_mode", "limit_only", "post_only")
_STOPS = ("trading_disabled", "is_disabled", "cancel_only")


class _Flags(Struct):
    status: str = ""
    trading_disabled: bool = False
    is_disabled: bool = False
    cancel_only: bool = False
    auction_mode: bool = False
    limit_only: bool = False
    post_only: bool = False


class _Product(_Flags, kw_only=True):
    id: str
    base_currency: str
    quote_currency: str
    base_increment: str = ""
    quote_increment: str = ""


class _Advanced(_Flags, kw_only=True):
    product_id: str
    product_type: str = ""
    base_currency_id: str = ""
    quote_currency_id: str = ""
    base_increment: str = ""
    quote_increment: str = ""
    price_increment: str = ""
    alias: str = ""


class _Answer(Struct):
    products: list[Raw]


_products = msgspec.json.Decoder(list[Raw]).decode
_product = msgspec.json.Decoder(_Product).decode
_answer = msgspec.json.Decoder(_Answer).decode
_advanced = msgspec.json.Decoder(_Advanced).decode


def exchange(source: str, body: bytes) -> Page:
    """Read ``/products`` of Coinbase Exchange.

    Raises
    ------
    ValueError
        The answer is something else.
    """

    def read(entry: Raw) -> Instrument:
        one = _product(entry)
        status, words = _status(one)
        return instrument(
            source,
            one.id,
            (one.base_currency, one.quote_currency),
            "spot",
            status,
            separator="-",
            source_status=words,
            tick=plain(one.quote_increment),
            step=plain(one.base_increment),
        )

    return Page(instruments(source, _products(body), read))


def advanced(source: str, body: bytes) -> Page:
    """Read ``/market/products`` of Coinbase Advanced Trade. Its futures are left out.

    A product with an ``alias`` has no book of its own: ``BTC-USDC`` trades in the book of ``BTC-USD``, and is another
    name of it.

    Raises
    ------
    ValueError
        The answer is something else.
    """
    aliases: dict[str, list[str]] = {}

    def read(entry: Raw) -> Instrument | None:
        one = _advanced(entry)
        if one.product_type != "SPOT":
            return None
        if one.alias and one.alias != one.product_id:
            aliases.setdefault(one.alias, []).append(one.product_id)
            return None
        status, words = _status(one)
        return instrument(
            source,
            one.product_id,
            (one.base_currency_id, one.quote_currency_id),
            "spot",
            status,
            separator="-",
            source_status=words,
            tick=plain(one.price_increment or one.quote_increment),
            step=plain(one.base_increment),
        )

    found = instruments(source, _answer(body).products, read)
    return Page([structs.replace(one, also=_sane(aliases.get(one.name, []))) for one in found])


def _sane(names: list[str]) -> tuple[str, ...]:
    return tuple(name for name in names if is_name(name, 64, "-"))


def _status(one: _Flags) -> tuple[Status, str]:
    """Return our status, and the source's words for it."""
    stops = [flag for flag in _STOPS if getattr(one, flag)]
    limits = [flag for flag in _LIMITS if getattr(one, flag)]
    status = _STATUS.get(one.status, "unknown")
    if status == "trading":
        status = "halted" if stops else "limited" if limits else status
    return status, ", ".join((one.status, *stops, *limits))[:64]
