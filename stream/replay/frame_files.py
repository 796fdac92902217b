"""Files that pass msgpack pieces from one process to another, each piece preceded by its length."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

_LENGTH_BYTES = 4
_encode = msgspec.msgpack.Encoder().encode

T = TypeVar("T")


class FrameFile:
    """Writes pieces to a file, in order.

    Parameters
    ----------
    path
        The file; an existing one is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def append(self, piece: Any) -> None:
        data = _encode(piece)
        self._file.write(len(data).to_bytes(_LENGTH_BYTES, "little"))
        self._file.write(data)

    def close(self) -> None:
        self._file.close()


def pieces(path: Path, kind: type[T]) -> Iterator[T]:
    """Yield the pieces of a file, in order; none if the file doesn't exist."""
    if not path.exists():
        return
    decode = msgspec.msgpack.Decoder(kind).decode
    with path.open("rb") as file:
        while length := file.read(_LENGTH_BYTES):
            yield decode(file.read(int.from_bytes(length, "little")))
