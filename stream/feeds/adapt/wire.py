"""What fields of exchanges' messages may be, and how they become fields of events.

Decoders of these types are lax (``strict=False``): most exchanges write numbers as texts. The bounds are checked while
a message is decoded, so an event is made of its fields as they are.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from tickertape.schemas.fields import EARLIEST_MS, LATEST_MS
from tickertape.stream.feeds.define.change import Level
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.units import with_unit

#: A price or quantity of a quote: zero if that side of the book is empty.
Amount = Annotated[float, Meta(ge=0, le=1e18)]
#: A time in ms, or in µs.
Time = Annotated[int, Meta(ge=EARLIEST_MS, le=1000 * LATEST_MS)]
#: A time as text, with its offset from UTC.
Moment = Annotated[datetime, Meta(tz=True)]
#: A number whose text counts.
Text = Annotated[str, Meta(min_length=1, max_length=64)]
Levels = list[tuple[Text, Text]]

Side = Literal["buy", "sell"]

MOST_LETTERS = 64
_DIGITS = Context(prec=4 * MOST_LETTERS, traps=[])
_LEAST, _MOST = Decimal("1e-64"), Decimal("1e18")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS, _DAY_US = 86_400_000, 86_400_000_000

T = TypeVar("T")
#: The numbers of a generic message: doubles with bounds, or `Decimal`, with all digits as the source has written them.
N = TypeVar("N")
M = TypeVar("M")
Number = float | Decimal


def in_ms(time: int) -> int:
    """Return a time in ms, given in ms or µs.

    Raises
    ------
    ValueError
        It is neither between 2000 and 2100.
    """
    return time if time <= LATEST_MS else sane(time // 1000)


def ms_of(moment: datetime) -> int:
    """Return a time in ms since 1970 UTC.

    Raises
    ------
    ValueError
        It is not between 2000 and 2100.
    """
    since = moment - _EPOCH
    return sane(since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000)


def us_of(moment: datetime) -> int:
    """Return a time in µs since 1970 UTC."""
    since = moment - _EPOCH
    return since.days * _DAY_US + since.seconds * 1_000_000 + since.microseconds


def ns_of(text: str) -> int:
    """Return a time in ns since 1970 UTC, given as text with up to nine digits behind the second.

    Raises
    ------
    ValueError
        It is no time with its offset from UTC.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text} without an offset from UTC")
    # What `datetime` cuts off.
    rest = text.partition(".")[2][6:9].rstrip("Z")
    return us_of(moment) * 1000 + (int(rest.ljust(3, "0")) if rest.isdecimal() else 0)


def reason_of(message: bytes, error: Exception) -> str:
    """Return why a message can't be read; if it is a time in another unit, with that unit."""
    reason = str(error)
    field = re.search(r"\$\S*\.(\w+)`", reason)
    number = re.search(rb'"%s": ?"?(\d{1,20})\b' % field[1].encode(), message) if field else None
    return with_unit(reason, {field[1]: int(number[1])}) if field and number else reason


def sane(time_ms: int) -> int:
    """Return a time in ms as it is.

    Raises
    ------
    ValueError
        It is not between 2000 and 2100.
    """
    if not EARLIEST_MS <= time_ms <= LATEST_MS:
        raise ValueError(f"time {time_ms} ms is not between 2000 and 2100")
    return time_ms


def in_base(quantity: Number, base_per_unit: float) -> Number:
    """Return a quantity in the base currency: 34.95 contracts of 0.01 BTC are 0.3495 BTC."""
    if base_per_unit == 1:
        return quantity
    # As doubles, 34.95 × 0.01 would be 0.34950000000000003.
    unit = Decimal(repr(base_per_unit))
    if isinstance(quantity, Decimal):
        return _DIGITS.multiply(quantity, unit)
    return float(_DIGITS.multiply(Decimal(repr(quantity)), unit))


def check(number: Decimal) -> None:
    """Look at a decimal for a field of an event. Of doubles, decoders see to it.

    Raises
    ------
    ValueError
        It is not above zero, is beyond 1e18, or has too many digits.
    """
    if not (number.is_finite() and _LEAST <= number <= _MOST and len(str(number)) <= MOST_LETTERS):
        raise ValueError(f"{str(number)[:MOST_LETTERS]} is not above zero, or too large or long")


def decoders(plain: type[T], exact: object) -> tuple[Callable[[bytes], T], Callable[[bytes], T]]:
    """Return the decoders of a message with its numbers as doubles, and as decimals."""
    return tuple(msgspec.json.Decoder(kind, strict=False).decode for kind in (plain, exact))  # type: ignore[return-value]  # as many as are given


def readers(plain: object, exact: object) -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """Return the readers of a tagged union with its numbers as doubles, and as decimals; see `reader`."""
    return tuple(reader(msgspec.json.Decoder(kind, strict=False)) for kind in (plain, exact))  # type: ignore[return-value]  # as many as are given


def levels(of: Sequence[Level]) -> Sequence[Level]:
    """Return levels of a book as they are.

    Raises
    ------
    ValueError
        A price is not a decimal above zero, or a quantity not a decimal of zero or more.
    """
    texts = [text for level in of for text in level]
    if texts and not (_is_decimal("".join(texts)) and max(map(len, texts)) <= MOST_LETTERS):
        raise ValueError("a price or quantity of a book is not a decimal")
    for price, quantity in of:
        if not (0 < float(price) <= 1e18 and float(quantity) <= 1e18):
            raise ValueError(f"a book can't have {quantity} at {price}")
    return of


def _is_decimal(text: str) -> bool:
    """Return whether a text has digits and points alone, as decimals written one after the other."""
    return text.isascii() and text.replace(".", "").isdecimal()


def best(of: Sequence[Level], base_per_unit: float = 1.0, *, exact: bool = False) -> tuple[Number, Number]:
    """Return price and quantity, in the base currency, of a book's first level; zeros if there is none.

    Raises
    ------
    ValueError
        They are no decimals.
    """
    if not of:
        return 0.0, 0.0
    texts = of[0]
    price, quantity = map(float, texts)
    if not (_is_decimal("".join(texts)) and price <= 1e18 and quantity <= 1e18):
        raise ValueError("a price or quantity of a book is not a decimal, or too large")
    if exact:
        return Decimal(texts[0]), in_base(Decimal(texts[1]), base_per_unit)
    return price, in_base(quantity, base_per_unit)


class _Named(Struct):
    T: Any = ""
    type: Any = ""
    channel: Any = ""
    method: Any = ""
    event: Any = ""


_named = msgspec.json.Decoder(_Named).decode


def reader(decoder: msgspec.json.Decoder[T]) -> Callable[[bytes], T | Other]:
    """Return a function that decodes messages of a tagged union, and makes an `Other` of those with another tag.

    The function raises ValueError if a message is not JSON, or has a known tag and is invalid.
    """
    kinds = get_args(decoder.type) or (decoder.type,)
    known = {(get_origin(kind) or kind).__struct_config__.tag for kind in kinds}
    decode = decoder.decode

    def read(frame: bytes) -> T | Other:
        try:
            return decode(frame)
        except msgspec.ValidationError:
            named = _named(frame)
            names = [
                name
                for name in (named.channel, named.event, named.method, named.type, named.T)
                if isinstance(name, str)
            ]
            if known.intersection(names):
                raise
            return Other(next(filter(None, names), "unnamed")[:MOST_LETTERS])

    return read
