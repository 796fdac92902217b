"""Recorded files, decompressed into plain bytes. A file that is cut off is read as far as it goes."""

import bz2
import gzip
import lzma
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from tickertape.stream.errors import InputError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 1 << 20
# The most memory that unpacking a file may take, whatever the file asks for. `xz -9` needs half of it.
MOST_BYTES = 128 << 20
_READ_BYTES = 1 << 16
BOM = b"\xef\xbb\xbf"
_ZIP = b"PK\x03\x04"
_ZIP_TAIL = b"PK\x07\x08"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_ZIP_HEADER = struct.Struct("<4s5H3I2H")
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED

_BROKEN = (OSError, zlib.error, lzma.LZMAError, zstd.ZstdError, zipfile.BadZipFile, NotImplementedError, RuntimeError)

#: How to open a compressed file, by the bytes that it begins with.
_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\x28\xb5\x2f\xfd": zstd.open,
}
_XZ = b"\xfd7zXZ\x00"


def is_plain(path: Path) -> bool:
    """Return whether a file is neither compressed nor an archive, so that reading can start anywhere in it.

    Raises
    ------
    InputError
        The file can't be opened.
    """
    head = _head(path)
    return not head.startswith((*_OPENERS, _XZ, _ZIP))


def pieces(path: Path, cut: Callable[[str], None], start: int = 0) -> Generator[bytes, None, None]:
    """Yield the content of a file, at most `PIECE_BYTES` at a time.

    Parameters
    ----------
    path
        A file that is plain, compressed with gzip, bzip2, xz or zstd, or a zip, whose members are read in the order in
        which they lie in it.
    cut
        Called with a message if a compressed file is cut off; its content up to there is yielded.
    start
        The byte from which a plain file is read.

    Raises
    ------
    InputError
        The file can't be opened, is damaged, takes more than `MOST_BYTES` to unpack, or is UTF-16.
    """
    head = _head(path)
    if head.startswith(_UTF_16):
        raise InputError(f"{path}: is UTF-16; convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`")
    try:
        if head.startswith(_ZIP):
            yield from _of_zip(path, cut)
            return
        opener = next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)
        with path.open("rb") if opener is None else opener(path) as file:
            if opener is None:
                file.seek(start)
            unpacked = _unxz(file) if head.startswith(_XZ) else _read(file)
            yield from _text(unpacked, path, cut, first=not start)
    except _BROKEN as error:
        raise InputError(f"{path}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, lzma.LZMAError | zstd.ZstdError) and "memory" in str(error).lower():
        return f"takes more than {MOST_BYTES >> 20} MiB of memory to unpack; compress it again, for example with `gzip`"
    return f"is damaged: {error}"


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _read(file: Any) -> Iterator[bytes]:
    # If the end is missing, `read` would lose what it has read before the error; `read1` doesn't.
    while piece := file.read1(PIECE_BYTES):
        yield piece


def _unxz(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of an xz file. `lzma.open` has no limit on memory, and a file may ask for 4 GiB."""
    unpack, read = None, b""
    while read := read or file.read(_READ_BYTES):
        # Zero bytes may lie between streams.
        if unpack is None and not (read := read.lstrip(b"\0")):
            continue
        unpack = unpack or lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_BYTES)
        yield unpack.decompress(read, PIECE_BYTES)
        while not (unpack.eof or unpack.needs_input):
            yield unpack.decompress(b"", PIECE_BYTES)
        read = unpack.unused_data
        unpack = None if unpack.eof else unpack
    if unpack is not None:
        raise EOFError


def _text(
    unpacked: Iterable[bytes], path: Path, cut: Callable[[str], None], *, first: bool
) -> Generator[bytes, None, None]:
    """Yield a file's pieces, without a byte order mark at its beginning; report it if the file is cut off."""
    try:
        for piece in unpacked:
            if not piece:
                continue
            yield piece.removeprefix(BOM) if first else piece
            first = False
    except EOFError:
        cut(f"{path}: is cut off; it is read up to there")


def _of_zip(path: Path, cut: Callable[[str], None]) -> Generator[bytes, None, None]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        # The list of members is at the end of a zip, so it is missing.
        cut(f"{path}: is cut off; it is read up to there")
        with path.open("rb") as file:
            yield from _of_cut_zip(path, file)
        return
    with archive:
        for member in archive.infolist():
            if not member.is_dir():
                if member.compress_type not in (_STORED, _DEFLATED):
                    # `zipfile` unpacks these without a limit: a member of 400 bytes may become gigabytes in one step.
                    raise InputError(
                        f"{path}: a member is compressed by another method than deflate, such as bzip2 or LZMA; "
                        "unpack the zip and name its files"
                    )
                with archive.open(member) as file:
                    yield from _text(_read(file), path, cut, first=True)
                yield b"\n"


def _of_cut_zip(path: Path, file: IO[bytes]) -> Generator[bytes, None, None]:
    """Yield the content of a zip's members, found by the header before each, as far as the file goes."""
    while len(head := file.read(_ZIP_HEADER.size)) == _ZIP_HEADER.size:
        magic, _, flags, method, _, _, _, size_bytes, _, name_bytes, extra_bytes = _ZIP_HEADER.unpack(head)
        if magic != _ZIP:
            return
        is_folder = file.read(name_bytes).endswith(b"/")
        file.seek(extra_bytes, 1)
        if flags & 1 or method not in (_STORED, _DEFLATED) or (method == _STORED and flags & 8 and not is_folder):
            raise InputError(f"{path}: is cut off, and a member can't be read without the missing part")
        if not (yield from _without_bom(_inflated(file) if method == _DEFLATED else _stored(file, size_bytes))):
            return
        yield b"\n"
        if flags & 8:
            # The member's checksum and lengths follow it, with or without a signature before them.
            tail = file.read(16)
            file.seek(0 if tail.startswith(_ZIP_TAIL) else -4, 1)


def _without_bom(member: Generator[bytes, None, bool]) -> Generator[bytes, None, bool]:
    first = True
    while True:
        try:
            piece = next(member)
        except StopIteration as end:
            return bool(end.value)
        yield piece.removeprefix(BOM) if first else piece
        first = False


def _stored(file: IO[bytes], size_bytes: int) -> Generator[bytes, None, bool]:
    """Yield the content of an uncompressed member; return whether it is complete."""
    while size_bytes and (piece := file.read(min(size_bytes, PIECE_BYTES))):
        size_bytes -= len(piece)
        yield piece
    return not size_bytes


def _inflated(file: IO[bytes]) -> Generator[bytes, None, bool]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while not inflater.eof and (read := inflater.unconsumed_tail or file.read(_READ_BYTES)):
        if piece := inflater.decompress(read, PIECE_BYTES):
            yield piece
    file.seek(-len(inflater.unused_data), 1)
    return inflater.eof
