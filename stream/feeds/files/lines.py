"""The lines of recorded files, in pieces of many lines."""

import sys
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

from tickertape.stream.feeds.files.archive import pieces

# Longer than any record that Kafka accepts. A longer line is cut here, and can't be read.
LONGEST_BYTES = 16 << 20


def texts(
    path: Path, cut: Callable[[str], None], start: int = 0, end: int = sys.maxsize
) -> Generator[bytes, None, None]:
    """Yield a file's text in pieces of whole lines, each piece without its final newline.

    Parameters
    ----------
    path, cut
        See `pieces`. If a file is cut off, its last line is left out.
    start, end
        Yield only lines that begin at or after ``start`` and before ``end``, in bytes of a plain file.

    Raises
    ------
    InputError
        See `pieces`.
    """
    is_cut = False

    def note(what: str) -> None:
        nonlocal is_cut
        is_cut = True
        cut(what)

    # Reading starts one byte early, and skips up to the first newline: the rest of a line that began before the start,
    # or just the newline of the line before.
    at, rest, begun = max(start - 1, 0), b"", b"" if start else b"\n"
    with closing(pieces(path, note, at)) as read:
        for piece in read:
            if not begun:
                before, begun, piece = piece.partition(b"\n")
                at += len(before) + len(begun)
                if not begun:
                    continue
            if at >= end and not rest:
                return
            last = piece.find(b"\n", max(end - 1 - at, 0)) if at + len(piece) >= end else -1
            at += len(piece)
            if last >= 0:
                # This newline ends the last line that begins before the end.
                yield rest + piece[:last]
                return
            text, found, left = piece.rpartition(b"\n")
            if found:
                yield rest + text
                rest = left[:LONGEST_BYTES]
            elif len(rest) < LONGEST_BYTES:
                rest += left
    if rest and not is_cut:
        yield rest
