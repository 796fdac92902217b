"""Kraken: ``AssetPairs`` of the spot market."""

import msgspec
from msgspec import Raw, Struct

from tickertape.schemas.instrument import Instrument, Status
from tickertape.stream.feeds.instruments.lists.entry import (
    Page,
    instrument,
    instruments,
    plain,
    renamed,
    status_of,
)

_STATUS: dict[str, Status] = {
    "online": "trading",
    "post_only": "limited",
    "limit_only": "limited",
    "reduce_only": "limited",
    "cancel_only": "halted",
    "maintenance": "halted",
    "delisted": "closed",
}


class _Pair(Struct):
    wsname: str
    altname: str = ""
    status: str = ""
    tick_size: str = ""
    pair_decimals: int = -1
    lot_decimals: int = -1


class _Answer(Struct):
    error: list[str] = []
    result: dict[str, Raw] = {}


_answer = msgspec.json.Decoder(_Answer).decode
_pair = msgspec.json.Decoder(_Pair).decode


def spot(source: str, body: bytes) -> Page:
    """Read ``/0/public/AssetPairs``.

    An instrument's name is that of WebSocket v2, ``BTC/USD``. The list has that of v1, ``XBT/USD``, and those of REST.

    Raises
    ------
    ValueError
        The answer is something else, or an error.
    """
    answer = _answer(body)
    if answer.error:
        raise ValueError(f"it answers {', '.join(answer.error)[:200]}")
    keys = iter(answer.result)

    def read(entry: Raw) -> Instrument:
        key = next(keys)
        one = _pair(entry)
        base, _, quote = one.wsname.partition("/")
        return instrument(
            source,
            f"{renamed(source, base)}/{renamed(source, quote)}",
            (base, quote),
            "spot",
            status_of(one.status, _STATUS),
            separator="/",
            also=(one.wsname, one.altname, key),
            source_status=one.status,
            tick=plain(one.tick_size) or _step(one.pair_decimals),
            step=_step(one.lot_decimals),
        )

    return Page(instruments(source, answer.result.values(), read))


def _step(decimals: int) -> str:
    """Return the step of numbers with so many decimals: ``0.01`` for 2."""
    return plain(f"1e-{decimals}") if 0 <= decimals <= 30 else ""
