"""Bundles: records that hold many events of one kind as columns, on the input topics beside single events.

A record is a bundle if it has the header `HEADER`. The header's value is a `Bundled` as JSON; the record's value is a
`Bundle` as MessagePack, with Structs as arrays.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct, field
from msgspec.json import Decoder, Encoder

HEADER = "bundle"
VERSION = 1
# A larger record is rejected, and so is one with more events.
MOST_BYTES = 1 << 20
MOST_EVENTS = 4096
MOST_FIELDS = 64


class Bundled(Struct, frozen=True):
    """The header of a bundle.

    Attributes
    ----------
    version
        The version of the layout; readers reject those that they don't know.
    events
        The number of events in the bundle, n.
    """

    version: int
    events: Annotated[int, Meta(ge=1, le=MOST_EVENTS)]


class Integers(Struct, frozen=True, array_like=True, tag="integers"):
    """n integers of 64 bits.

    Attributes
    ----------
    base
        What is added to each.
    data
        A little-endian array of n numbers of 1, 2, 4 or 8 bytes; empty if all n integers are the base.
    steps
        False: the numbers are unsigned, and an integer is the base and its number. True: the numbers are signed, and an
        integer is the base and the sum of all numbers up to its own. All sums are modulo 2^64.
    """

    base: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    data: bytes = b""
    steps: bool = False


class Decimals(Struct, frozen=True, array_like=True, tag="decimals"):
    """n decimals with one exponent: each is the double that is nearest to mantissa × 10^exponent."""

    mantissas: Integers
    exponent: Annotated[int, Meta(ge=-400, le=400)]


class Floats(Struct, frozen=True, array_like=True, tag="floats"):
    """n doubles, as a little-endian array. Only what isn't a short decimal is sent so."""

    data: bytes


class Texts(Struct, frozen=True, array_like=True, tag="texts"):
    """n texts: each text once, and for each event the index of its text."""

    texts: Annotated[list[str], Meta(max_length=MOST_EVENTS)]
    indices: Integers


class Values(Struct, frozen=True, array_like=True, tag="values"):
    """n values of any other type, each a line of JSON."""

    lines: bytes


Column: TypeAlias = Integers | Decimals | Floats | Texts | Values


class Bundle(Struct, frozen=True, array_like=True):
    """The value of a bundle's record. The events are in the order of their indices, from 0 on.

    Attributes
    ----------
    columns
        The fields that not all events have the default of, by the name that they have in JSON.
    given
        For fields that are null in some events: a bit for each event, the first one the lowest of the first byte; 1
        where the field isn't null.
    """

    columns: Annotated[dict[str, Column], Meta(max_length=MOST_FIELDS)]
    given: Annotated[dict[str, bytes], Meta(max_length=MOST_FIELDS)] = field(default_factory=dict)


_encode = Encoder().encode
# Feeds send bundles of few sizes, so most headers are alike.
_decode = lru_cache(maxsize=2 * MOST_EVENTS)(Decoder(Bundled).decode)


def to_headers(events: int) -> list[tuple[str, bytes]]:
    return [(HEADER, _encode(Bundled(VERSION, events)))]


def from_headers(headers: Sequence[tuple[str, bytes | None]]) -> Bundled | None:
    """Decode the header of a bundle; None if no header says that the record is one.

    Raises
    ------
    msgspec.DecodeError, msgspec.ValidationError
        The header exists but can't be read.
    """
    for name, value in headers:
        if name == HEADER:
            # Kafka allows headers without a value.
            return _decode(value or b"")
    return None
