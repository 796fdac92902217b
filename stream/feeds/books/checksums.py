"""Checksums of order books, from the decimal texts of their best levels."""

from collections.abc import Sequence
from itertools import zip_longest
from zlib import crc32

from tickertape.stream.feeds.define.change import Level


def kraken(bids: Sequence[Level], asks: Sequence[Level]) -> int:
    """Return Kraken's checksum: asks, then bids; each price and quantity without its point and leading zeros."""
    texts = [text.replace(".", "").lstrip("0") for level in (*asks, *bids) for text in level]
    return crc32("".join(texts).encode())


def okx(bids: Sequence[Level], asks: Sequence[Level]) -> int:
    """Return OKX's checksum, which is signed: bids and asks by turns, all prices and quantities with colons between."""
    texts = [text for pair in zip_longest(bids, asks) for level in pair if level is not None for text in level]
    unsigned = crc32(":".join(texts).encode())
    return unsigned - (1 << 32) if unsigned >> 31 else unsigned
