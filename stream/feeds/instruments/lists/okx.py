"""OKX v5: ``instruments`` of the types SPOT, SWAP and FUTURES."""

from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from tickertape.schemas.instrument import Instrument, Kind, Status
from tickertape.stream.feeds.instruments.lists.entry import Page, instrument, instruments, plain, status_of

_STATUS: dict[str, Status] = {
    "live": "trading",
    "post_only": "limited",
    "suspend": "halted",
    "rebase": "halted",
    "settling": "halted",
    "test": "halted",
    "preopen": "pending",
}
_KINDS: dict[str, Kind] = {"SPOT": "spot", "SWAP": "perpetual", "FUTURES": "future"}


class _Instrument(Struct, rename="camel"):
    inst_id: str
    inst_type: str
    base_ccy: str = ""
    quote_ccy: str = ""
    uly: str = ""
    inst_family: str = ""
    ct_val: str = ""
    ct_mult: str = ""
    ct_val_ccy: str = ""
    ct_type: str = ""
    tick_sz: str = ""
    lot_sz: str = ""
    exp_time: str = ""
    state: str = ""


class _Answer(Struct):
    code: str
    data: list[Raw] = []
    msg: str = ""


_answer = msgspec.json.Decoder(_Answer).decode
_instrument = msgspec.json.Decoder(_Instrument).decode


def public(source: str, body: bytes) -> Page:
    """Read ``/api/v5/public/instruments`` of one type.

    Raises
    ------
    ValueError
        The answer is something else, or an error.
    """
    answer = _answer(body)
    if answer.code != "0":
        raise ValueError(f"it answers {answer.code} {answer.msg[:200]}")

    def read(entry: Raw) -> Instrument | None:
        one = _instrument(entry)
        kind = _KINDS.get(one.inst_type)
        if kind is None:
            return None
        return _spot(source, one) if kind == "spot" else _contract(source, one, kind)

    return Page(instruments(source, answer.data, read))


def _spot(source: str, one: _Instrument) -> Instrument:
    return instrument(
        source,
        one.inst_id,
        (one.base_ccy, one.quote_ccy),
        "spot",
        status_of(one.state, _STATUS),
        separator="-",
        source_status=one.state,
        tick=plain(one.tick_sz),
        step=plain(one.lot_sz),
    )


def _contract(source: str, one: _Instrument, kind: Kind) -> Instrument:
    base, _, quote = one.uly.partition("-")
    # BTC-USD-SWAP is inverse, and BTC-USD_UM-SWAP is linear. Both have the underlying BTC-USD; the families differ.
    family_base, _, family_quote = one.inst_family.partition("-")
    inverse = one.ct_type == "inverse"
    if one.ct_type not in ("linear", "inverse") or one.ct_val_ccy != (quote if inverse else base):
        raise ValueError(
            f"{one.inst_id[:60]!r}: a {one.ct_type[:30]!r} contract of {one.ct_val_ccy[:30]!r} has no known unit"
        )
    value, times = plain(one.ct_val), plain(one.ct_mult or "1")
    return instrument(
        source,
        one.inst_id,
        (base, quote),
        kind,
        status_of(one.state, _STATUS),
        separator="-",
        family=(family_base, family_quote),
        source_status=one.state,
        tick=plain(one.tick_sz),
        step=plain(one.lot_sz),
        contract_value=plain(f"{Decimal(value or '0') * Decimal(times or '0'):f}"),
        inverse=inverse,
        expires_ms=int(one.exp_time) if kind == "future" else None,
    )
