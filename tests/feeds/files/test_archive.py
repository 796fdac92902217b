"""Compressed files and archives: whole, cut off, damaged."""

import bz2
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tickertape.stream.errors import InputError
from tickertape.stream.feeds.files.archive import is_plain, pieces
from tickertape.stream.feeds.files.lines import texts

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Random enough that a part of what is compressed holds about as much of the text.
TEXT = b"".join(b"%d %d\n" % (i, i * 2654435761 % 2**32) for i in range(100_000))


def zipped(text: bytes, method: int = zipfile.ZIP_DEFLATED, *, streamed: bool = False) -> bytes:
    """Return an archive of two members, the second of which is the text's second half."""
    half = text.index(b"\n", len(text) // 2)
    written = io.BytesIO()
    if streamed:
        # Where it can't go back, what a member's length was follows it.
        written.seekable = lambda: False  # type: ignore[method-assign]  # as of a pipe
    with zipfile.ZipFile(written, "w", method) as archive:
        archive.writestr("a/", b"")
        archive.writestr("a/b", text[:half])
        archive.writestr("c", text[half + 1 :])
    return written.getvalue()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "two gzips": lambda text: gzip.compress(text[:1000]) + gzip.compress(text[1000:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
    "two zstds": lambda text: zstd.compress(text[:1000]) + zstd.compress(text[1000:]),
    "zip": zipped,
    "zip, streamed": lambda text: zipped(text, streamed=True),
    "zip, stored": lambda text: zipped(text, zipfile.ZIP_STORED),
    "plain": bytes,
}


def lines(path: Path) -> tuple[list[bytes], list[str]]:
    notes: list[str] = []
    return [line for text in texts(path, notes.append) for line in text.split(b"\n") if line], notes


@pytest.mark.parametrize("how", COMPRESS)
def test_what_it_holds_whatever_it_is_compressed_with(tmp_path: Path, how: str) -> None:
    (tmp_path / "file").write_bytes(COMPRESS[how](TEXT))
    assert lines(tmp_path / "file") == (TEXT.splitlines(), [])
    assert is_plain(tmp_path / "file") == (how == "plain")


@pytest.mark.parametrize("how", [how for how in COMPRESS if how != "plain"])
def test_one_that_is_cut_off_gives_whole_lines_and_says_so(tmp_path: Path, how: str) -> None:
    whole = COMPRESS[how](TEXT)
    (tmp_path / "file").write_bytes(whole[: len(whole) * 3 // 4])
    found, notes = lines(tmp_path / "file")
    assert notes == [f"{tmp_path}/file: is cut off; it is read up to there"]
    assert found == TEXT.splitlines()[: len(found)]
    # Bzip2 has blocks of 900 kB.
    assert len(found) > (40_000 if how == "bzip2" else 60_000)


@pytest.mark.parametrize("how", ["gzip", "bzip2", "xz", "zstd", "zip"])
def test_one_that_is_damaged_is_told_of(tmp_path: Path, how: str) -> None:
    whole = bytearray(COMPRESS[how](TEXT))
    whole[len(whole) // 3 : len(whole) // 3 + 100] = bytes(100)
    (tmp_path / "file").write_bytes(whole)
    with pytest.raises(InputError, match="/file: is damaged: "):
        lines(tmp_path / "file")


@pytest.mark.parametrize("how", COMPRESS)
def test_a_byte_order_mark_is_no_text(tmp_path: Path, how: str) -> None:
    (tmp_path / "file").write_bytes(COMPRESS[how](b"\xef\xbb\xbf1\n2\n3\n4\n"))
    assert lines(tmp_path / "file") == ([b"1", b"2", b"3", b"4"], [])


def test_text_of_two_bytes_a_letter_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes('{"a": 1}\n'.encode("utf-16"))
    with pytest.raises(InputError, match="/file: is UTF-16; convert it to UTF-8, for example with"):
        lines(tmp_path / "file")


def test_a_bomb_is_read_in_pieces(tmp_path: Path) -> None:
    bomb = bytes(200 << 20)
    for how in ("gzip", "bzip2", "xz", "zstd"):
        (tmp_path / "file").write_bytes(COMPRESS[how](bomb))
        assert max(map(len, pieces(tmp_path / "file", print))) <= 1 << 20


def test_a_member_under_a_password_is_told_of(tmp_path: Path) -> None:
    whole = bytearray(zipped(TEXT))
    # The bit that says so, in the member's head and in the list at the end.
    for at in (whole.index(b"PK\x03\x04", 4) + 6, whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 4) + 8):
        whole[at] |= 1
    (tmp_path / "file").write_bytes(whole)
    with pytest.raises(InputError, match=r"is damaged: .*encrypted"):
        lines(tmp_path / "file")


def test_an_xz_of_several_streams_with_zeros_between(tmp_path: Path) -> None:
    # Zeros in whole fours may lie between streams, and they may fill all that is read at once.
    (tmp_path / "file").write_bytes(lzma.compress(TEXT[:1000]) + bytes(200_000) + lzma.compress(TEXT[1000:]))
    assert lines(tmp_path / "file") == (TEXT.splitlines(), [])


def asking_for(dictionary: int) -> bytes:
    """Return an xz file whose head asks for a dictionary, by its code in the format, section 5.3.1."""
    whole = lzma.compress(TEXT, check=lzma.CHECK_NONE)
    head = bytearray(whole[12 : 12 + 4 * (whole[12] + 1)])
    head[head.index(b"\x21\x01") + 2] = dictionary
    head[-4:] = zlib.crc32(head[:-4]).to_bytes(4, "little")
    return whole[:12] + head + whole[12 + len(head) :]


def test_what_asks_for_much_memory_is_told_of(tmp_path: Path) -> None:
    # 64 MiB, as `xz -9` has it.
    (tmp_path / "file").write_bytes(asking_for(28))
    assert lines(tmp_path / "file")[0] == TEXT.splitlines()
    compressor = zstd.ZstdCompressor()
    zstd_of_2_gib = bytearray(compressor.compress(TEXT) + compressor.flush())
    # The window's size, by RFC 8878, section 3.1.1.1.2: 2 to the power of 10 + 21.
    zstd_of_2_gib[5] = 21 << 3
    # 4 GiB less a byte, and 2 GiB.
    for whole in (asking_for(40), zstd_of_2_gib):
        (tmp_path / "file").write_bytes(whole)
        with pytest.raises(InputError, match="/file: takes more than 128 MiB of memory to unpack"):
            lines(tmp_path / "file")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_may_become_gigabytes_at_once_is_told_of(tmp_path: Path, method: int) -> None:
    (tmp_path / "file").write_bytes(zipped(TEXT, method))
    with pytest.raises(InputError, match="/file: a member is compressed by another method than deflate"):
        lines(tmp_path / "file")
