"""Scans records at the end of the memory that this process may read. A read past that end is a crash.

Run: python -m tests.compiled.guarded
"""

import ctypes
import mmap

import numpy as np

from tests.compiled.comparing import Pair
from tickertape.schemas.trade import Trade
from tickertape.stream.engine.core.values import PackedValues

PAGE = mmap.PAGESIZE
_FORBIDDEN = 0
# Each goes on as a number that is read in as many bytes as any.
_BEGINS = (
    b'{"price":',
    b'{"price": ',
    b'{"price":-',
    b'{"id":',
    b'{"symbol":"',
    b'{"sym',
    b'{"side":"',
    b'{"side":n',
    b"{ ",
)
_GOES_ON = (b"1" * 19 + b"." + b"1" * 60, b"-0." + b"0" * 22 + b"1e-11111111", b"0." + b"1" * 80, b"k" * 80, b'"' * 80)


def main() -> None:
    pages = mmap.mmap(-1, 2 * PAGE)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    c = ctypes.CDLL(None, use_errno=True)
    if c.mprotect(ctypes.c_void_p(begin + PAGE), ctypes.c_size_t(PAGE), _FORBIDDEN):
        raise OSError(ctypes.get_errno(), "mprotect")
    readable = np.frombuffer(pages, np.uint8)[:PAGE]
    scanner = Pair(Trade).scanner
    whole = b'{"symbol":"A","source":"s","id":1,"time_ms":1700000000000,"price":2.5,"quantity":1.5}'
    scanned = 0
    for text in [whole, *(first + rest[:size] for first in _BEGINS for rest in _GOES_ON for size in range(1, 81))]:
        readable[PAGE - len(text) :] = np.frombuffer(text, np.uint8)
        sizes = np.arange(1, len(text) + 1)
        scan = scanner.scan(PackedValues(readable, np.full_like(sizes, PAGE - len(text)), sizes))
        scanned += int(scan.scanned.sum())
    assert scanned == 1, scanned


if __name__ == "__main__":
    main()
