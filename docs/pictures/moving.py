"""An animation of a page, as an APNG: each frame holds only what has changed, in a palette that all frames share.

Pillow makes a palette for each frame, and loses which of its places is transparent; so the chunks are written here.
"""

import struct
import time
import zlib
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from docs.pictures.colours import Pixels, reduce

# The palette's place that stands for "as before".
SAME = 255
LAST_MS = 2000
SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Film:
    """Takes frames of a page as it is.

    Parameters
    ----------
    page
        The page.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[tuple[float, Pixels]] = []

    def take(self, seconds: float, every_seconds: float) -> None:
        """Take frames for some seconds; the frames keep their own times, however long each takes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            at = time.monotonic()
            self._frames.append((at, pixels(self._page.screenshot())))
            self._page.wait_for_timeout(max(0.0, 1000 * (at + every_seconds - time.monotonic())))

    def save(self, path: Path) -> None:
        """Write all frames."""
        palette, places = reduce([shot for _, shot in self._frames])
        times = [at for at, _ in self._frames]
        lengths_ms = [*(round(1000 * (after - at)) for at, after in pairwise(times)), LAST_MS]
        path.write_bytes(apng(palette, places, lengths_ms))


def pixels(shot: bytes) -> Pixels:
    """Return a screenshot as height × width × 3."""
    return np.asarray(Image.open(BytesIO(shot)).convert("RGB"))


def apng(palette: Pixels, places: list[Pixels], lengths_ms: list[int]) -> bytes:
    """Return an animation without end.

    Parameters
    ----------
    palette
        At most 255 colours, n × 3.
    places
        Frames of places in the palette, height × width each.
    lengths_ms
        How long each frame is shown.
    """
    height, width = places[0].shape
    chunks = [
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        _chunk(b"acTL", struct.pack(">II", len(places), 0)),
        _chunk(b"PLTE", palette.tobytes() + bytes(3 * (SAME + 1 - len(palette)))),
        _chunk(b"tRNS", b"\xff" * SAME + b"\0"),
    ]
    number = 0
    for at, (frame, length_ms) in enumerate(zip(places, lengths_ms, strict=True)):
        part, x, y = _change(places[at - 1], frame) if at else (frame, 0, 0)
        # Drawn over what is there, which stays.
        place = struct.pack(">IIIIIHHBB", number, part.shape[1], part.shape[0], x, y, length_ms, 1000, 0, 1)
        chunks.append(_chunk(b"fcTL", place))
        # Each line begins with its filter: none.
        data = zlib.compress(np.pad(part, ((0, 0), (1, 0))).tobytes(), 9)
        number += 1
        if at:
            data = struct.pack(">I", number) + data
            number += 1
        chunks.append(_chunk(b"fdAT" if at else b"IDAT", data))
    return SIGNATURE + b"".join([*chunks, _chunk(b"IEND", b"")])


def _change(before: Pixels, frame: Pixels) -> tuple[Pixels, int, int]:
    """Return the part of a frame that has changed, with `SAME` for what hasn't, and where it lies."""
    changed = before != frame
    if not changed.any():
        return np.full((1, 1), SAME, np.uint8), 0, 0
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.where(changed[box], frame[box], np.uint8(SAME)), int(columns[0]), int(rows[0])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
