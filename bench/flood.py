"""A server that says Binance's messages as fast as they are taken, so that what a feed costs can be measured.

Run: python -m bench.flood MESSAGES. It prints its port. Each connection gets all messages, trades and quotes by turns.
"""

import base64
import hashlib
import re
import socket
import struct
import sys
from collections.abc import Iterator

import msgspec

from bench.load import START_MS

SYMBOLS = [f"S{number:02}USDT" for number in range(20)]
# What RFC 6455 appends to a client's key.
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_encode = msgspec.json.Encoder().encode


def messages(count: int) -> Iterator[bytes]:
    """Yield messages of a combined stream: for each symbol a trade, then for each symbol a quote."""
    for number in range(count):
        turn, place = divmod(number, len(SYMBOLS))
        symbol, time_ms = SYMBOLS[place], START_MS + number // 50
        if turn % 2:
            book = {"b": "60123.44000000", "B": "1.25000000", "a": "60123.45000000", "A": "0.50000000"}
            yield _encode({"stream": f"{symbol.lower()}@bookTicker", "data": {"u": number, "s": symbol} | book})
        else:
            trade = {"e": "trade", "E": time_ms, "s": symbol, "t": turn // 2, "p": "60123.45000000", "q": "0.01250000"}
            trade |= {"T": time_ms, "m": bool(number % 3), "M": True}
            yield _encode({"stream": f"{symbol.lower()}@trade", "data": trade})


def framed(message: bytes) -> bytes:
    """Return a message as a frame of text, as a server sends it."""
    size = len(message)
    assert size < 1 << 16
    return (bytes((0x81, size)) if size < 126 else b"\x81\x7e" + struct.pack("!H", size)) + message


def _shake_hands(caller: socket.socket) -> None:
    asked = b""
    while b"\r\n\r\n" not in asked:
        asked += caller.recv(1 << 16)
    found = re.search(rb"(?i)sec-websocket-key: *(\S+)", asked)
    assert found
    accept = base64.b64encode(hashlib.sha1(found[1] + _MAGIC, usedforsecurity=False).digest())
    answer = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
    caller.sendall(b"\r\n".join([*answer, b"Sec-WebSocket-Accept: " + accept, b"", b""]))


def serve(count: int) -> None:
    """Serve one caller after the other, for ever."""
    everything = b"".join(map(framed, messages(count)))
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            caller, _ = server.accept()
            with caller:
                _shake_hands(caller)
                try:
                    caller.sendall(everything)
                    # Until the caller goes.
                    caller.recv(1)
                except OSError:
                    continue


if __name__ == "__main__":
    serve(int(sys.argv[1]))
