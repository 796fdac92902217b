"""Mentions against their own baseline: how unusual a window is for its symbol."""

import numpy as np
from msgspec import Struct

from tickertape.agents.social.chatter import CHATTER
from tickertape.schemas.topics import INDICATORS
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.engine.define.recipes import Recursion

# A baseline's weight is on some so many windows: an hour of minutes, two days and a half of hours.
SPAN = 60
ALPHA = 2 / (SPAN + 1)
# So many windows are a baseline.
WARM = 20


class Mentions(Struct, frozen=True, tag_field="kind", tag="mentions"):
    """How a window's mentions compare with those before it; JSON on the topic ``indicators``.

    The baseline is the exponentially weighted mean and variance of the mentions x of the windows before this one [1]_:
    ``mean = mean + a · (x − mean)`` and ``variance = (1 − a) · (variance + a · (x − mean)²)``, with a = 2 / 61. Windows
    without posts are zeros in it, though none is published. It begins with a symbol's first window, and there is
    nothing before the twentieth from there.

    Attributes
    ----------
    symbol, source, resolution, start_ms
        The window's.
    mentions
        How many posts name the symbol in it.
    copy_share
        Which share of them is copied: a burst may be one text.
    baseline
        The mean of what was before.
    deviation
        The root of its variance.
    z_score
        (mentions − baseline) / deviation, with a deviation of one mention at least: else after a long silence a single
        post were a burst.
    final
        True.
    revision
        The number of posts in all windows up to here.
    incomplete
        True where posts are missing, and the baseline still shows it.

    References
    ----------
    .. [1] Finch (2009), "Incremental calculation of weighted mean and variance", section 9.
    """

    symbol: str
    source: str
    resolution: str
    start_ms: int
    mentions: int
    copy_share: float
    baseline: float
    deviation: float
    z_score: float
    final: bool
    revision: int
    incomplete: bool


def step(state: Columns, windows: Columns) -> Columns:
    mentions, passed = windows["mentions"], windows["passed"]
    # Of zeros, so many in a row, the mean and the mean square only fade.
    fade = (1 - ALPHA) ** np.maximum(passed - 1, 0)
    baseline = state["mean"] * fade
    variance = np.maximum((state["variance"] + state["mean"] ** 2) * fade - baseline**2, 0)
    state["n"] += passed
    first = state["n"] == 0
    off = np.where(first, 0.0, mentions - baseline)
    state["mean"][:] = np.where(first, mentions, baseline + ALPHA * off)
    state["variance"][:] = (1 - ALPHA) * (variance + ALPHA * off**2)
    deviation = np.sqrt(variance)
    made = {"baseline": baseline, "deviation": deviation, "z_score": off / np.maximum(deviation, 1)}
    return {name: np.where(state["n"] >= WARM, column, np.nan) for name, column in made.items()}


MENTIONS = Recursion(
    of=CHATTER,
    takes=("mentions", "copy_share"),
    state={"n": (INT, 0), "mean": (FLOAT, 0.0), "variance": (FLOAT, 0.0)},
    step=step,
    sink=INDICATORS,
    result=Mentions,
    # After so many windows a billionth is left: (1 - a) ** 640 < 1e-9.
    memory=640,
    resolutions=("1m", "5m", "1h"),
)
