"""Few colours for many: what is common on a page keeps its exact colour, the rest gets the nearest one."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLOURS = 255
# So many colours are kept as they are; the others stand for what is between, as at the edges of letters.
EXACT = 160
CHUNK = 4096

Pixels = NDArray[np.uint8]


def reduce(shots: list[Pixels]) -> tuple[Pixels, list[Pixels]]:
    """Return a palette, and pictures of places in it.

    Parameters
    ----------
    shots
        Pictures of height × width × 3, of one size.

    Returns
    -------
    tuple
        The palette, of `COLOURS` × 3 at most; and for each picture its places in the palette, height × width.
    """
    packed = [_packed(shot) for shot in shots]
    there, counts = np.unique(np.concatenate(packed), return_counts=True)
    order = np.argsort(-counts)
    exact, rest = there[order[:EXACT]], there[order[EXACT:]]
    palette = _unpacked(exact)
    if len(rest):
        sheet = Image.fromarray(_unpacked(rest)[None])
        between = sheet.quantize(COLOURS - EXACT, method=Image.Quantize.MAXCOVERAGE).convert("RGB")
        palette = np.concatenate([palette, np.unique(np.asarray(between)[0], axis=0)])
    nearest = np.concatenate([_nearest(there[at : at + CHUNK], palette) for at in range(0, len(there), CHUNK)])
    return palette, [
        nearest[np.searchsorted(there, one)].reshape(shot.shape[:2]) for one, shot in zip(packed, shots, strict=True)
    ]


def _packed(pixels: Pixels) -> NDArray[np.uint32]:
    wide = pixels.reshape(-1, 3).astype(np.uint32)
    return wide @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)


def _unpacked(packed: NDArray[np.uint32]) -> Pixels:
    return np.stack([packed >> 16, packed >> 8, packed], axis=1).astype(np.uint8)


def _nearest(packed: NDArray[np.uint32], palette: Pixels) -> Pixels:
    apart = _unpacked(packed).astype(np.int32)[:, None] - palette.astype(np.int32)[None]
    nearest: Pixels = (apart**2).sum(axis=2).argmin(axis=1).astype(np.uint8)
    return nearest
