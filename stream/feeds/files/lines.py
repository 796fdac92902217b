"""The lines of recorded files, in pieces."""

import sys
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

from tickertape.stream.feeds.files.archive import pieces

# Longer than any record that Kafka takes: of such a line no more is kept, and it can't be read.
LONGEST_BYTES = 16 << 20


def texts(
    path: Path, cut: Callable[[str], None], start: int = 0, end: int = sys.maxsize
) -> Generator[bytes, None, None]:
    """Yield a file's text in pieces of whole lines, each without its last line's end.

    Parameters
    ----------
    path, cut
        See `pieces`. The line in which a file is cut off is left out.
    start, end
        Only lines that begin from one and before the other, in bytes of a plain file.

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

    # What is under way at the start began before; if nothing is, this is but the end of the line before.
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
                # It ends the line that begins as the last before the end.
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
